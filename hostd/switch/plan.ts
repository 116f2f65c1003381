import * as z from "zod";
import type { App } from "../../manifests/app.ts";
import { type Digest, digestSchema, shortDigest } from "../../manifests/digest.ts";
import { appOf, type ImageConfig } from "../../manifests/image.ts";
import type { SlotState } from "../../manifests/node.ts";
import { CONSISTENCIES, type SnapshotDocument } from "../../manifests/snapshot.ts";
import { canRead, describeReads, readableSnapshots } from "../data/compatible.ts";
import { HostdError } from "../error.ts";
import { chooseOrder } from "./order.ts";

/** A switch as decided before its first step, and as the journal keeps it: a crash changes none of it. */
export const switchPlanSchema = z.object({
  image: digestSchema,
  version: z.string(),
  /** The generation that runs now; absent on the first activation. */
  from: z.int().optional(),
  to: z.int(),
  config: z.int(),
  /** Snapshot taken before anything is touched; absent where there is no data yet. */
  snapshot: z.string().optional(),
  /** The app had no data when this began: where it is taken back, it has none again. */
  makesData: z.literal(true).optional(),
  /** Milliseconds that a snapshot asked for is kept; absent: until it is forgotten. */
  ttl: z.number().positive().optional(),
  /** How the app is kept from writing while it is copied, decided when that begins; switches always stop it. */
  consistency: z.enum(CONSISTENCIES).optional(),
  /** Under this name the data of a reverted generation is kept, where it is taken back. */
  kept: z.string(),
  /** Rollback with data: the snapshot that becomes the live data. */
  restore: z.string().optional(),
  /** Why hostd kept the app stopped before this; a revert goes back to that. */
  hold: z.string().optional(),
  /** The new generation starts beside the old one and is proven before that stops. */
  beside: z.literal(true).optional(),
  /** Why the old generation stops first though the new image would start beside it. */
  stopFirst: z.string().optional(),
  /** Reason to quarantine the version that is left, once the switch is committed. */
  quarantine: z.string().optional(),
});

export type SwitchPlan = z.infer<typeof switchPlanSchema>;

/** What the journal knows when a switch is planned. */
export interface Situation {
  app: string;
  /** `app`: what the image that runs declares. */
  current: { number: number; image: Digest; config: number; app?: App } | undefined;
  hold: string | undefined;
  dataFormat: number | undefined;
  snapshots: readonly SnapshotDocument[];
  nextGeneration: number;
}

export interface Candidate {
  image: Digest;
  version: string;
  state: SlotState;
  config: ImageConfig;
}

/** Plans the activation of a slot; undefined where the app runs exactly that already and is not to run again. Refuses what could not run. */
export function planActivation(
  situation: Situation,
  slot: Candidate,
  configVersion: number,
  again = false,
): SwitchPlan | undefined {
  const { current } = situation;
  const runsAlready = current?.image === slot.image && current.config === configVersion;
  if (runsAlready && situation.hold === undefined && !again) return undefined;
  refuseFailed(situation.app, slot);
  refuseUnreadable(situation, slot);
  return {
    image: slot.image,
    version: slot.version,
    config: configVersion,
    ...commonPlan(situation, requireApp(slot)),
  };
}

/** The parts of a plan that every switch has. */
export function commonPlan(situation: Situation, next: App, restores = false) {
  const { nextGeneration: to, current, hold, dataFormat } = situation;
  const old = hold === undefined ? current?.app : undefined;
  const order = chooseOrder({ old, next, dataFormat, restores });
  return {
    ...(current === undefined ? {} : { from: current.number }),
    to,
    ...(order.beside ? { beside: true as const } : {}),
    ...(order.beside || order.because === undefined ? {} : { stopFirst: order.because }),
    // Two versions that share their data write it all the time: a copy of it would be of no moment.
    ...(dataFormat === undefined || order.beside ? {} : { snapshot: `before-g${to}` }),
    kept: `kept-g${to}`,
    ...(situation.hold === undefined ? {} : { hold: situation.hold }),
  };
}

export function refuseFailed(app: string, slot: Candidate): void {
  if (slot.state !== "failed") return;
  throw new HostdError("quarantined", `${app} ${slot.version} (${shortDigest(slot.image)}) failed on this node`, {
    hint: `hostd release ${shortDigest(slot.image)} lets it be tried again`,
    details: { app, image: slot.image },
  });
}

/** Refuses an image that cannot read the present data, naming the snapshots that would make it possible. */
export function refuseUnreadable(situation: Situation, slot: Candidate): void {
  const app = requireApp(slot);
  const format = situation.dataFormat;
  if (canRead(app, format)) return;
  const usable = readableSnapshots(app, situation.snapshots).map((snapshot) => snapshot.id);
  const message = `${situation.app} ${slot.version} reads ${describeReads(app)}, the data is format ${format}`;
  throw new HostdError("data-format", message, {
    hint:
      usable.length === 0
        ? "no snapshot on this node holds data that it reads"
        : `hostd rollback ${situation.app} --to ${shortDigest(slot.image)} --with-data ${usable[0]}`,
    details: { format, reads: describeReads(app), snapshots: usable },
  });
}

/** The app document of a slot; images without one are refused when they are staged. */
export function requireApp(slot: { config: ImageConfig }): App {
  const app = appOf(slot.config);
  if (app === undefined) throw new HostdError("journal", "expected an app document in a staged image, got none");
  return app;
}
