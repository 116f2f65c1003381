import { type Digest, shortDigest } from "../../manifests/digest.ts";
import type { SnapshotDocument } from "../../manifests/snapshot.ts";
import { canRead, describeReads } from "../data/compatible.ts";
import { HostdError } from "../error.ts";
import {
  type Candidate,
  commonPlan,
  refuseFailed,
  refuseUnreadable,
  requireApp,
  type Situation,
  type SwitchPlan,
} from "../switch/plan.ts";

/** The target of a rollback that moves data or config and leaves the image that runs. */
export const CURRENT = "current";

export interface RollbackRequest {
  /** A generation number, the beginning of an image digest, or `current`: what runs stays, data or config alone move. */
  to?: string | undefined;
  withData?: string | undefined;
  /** The config of the target as well, or a version of it; with `current` the one that ran before. */
  withConfig?: boolean | number | undefined;
  /** Why hostd itself goes back. */
  cause?: string | undefined;
}

export interface RollbackSituation extends Situation {
  /** Every slot of the app, with whether this node refuses to run it. */
  slots: readonly (Candidate & { quarantined: boolean })[];
  /** Of each version that is here the newest generation in each state, newest first. */
  generations: readonly Ran[];
  /** Any generation that ever was. */
  generation(number: number): Ran | undefined;
  /** Of each image that was ever good whose digest, in hexadecimal, begins so, the newest good one. */
  onceGood(hex: string): readonly Ran[];
  /** The config that was good last before the one that runs. */
  configBefore(): number | undefined;
}

interface Ran {
  number: number;
  image: Digest;
  config: number;
  state: string;
}

/**
 * Plans a rollback by command. Binaries move, nothing else, unless asked: config stays at its version, data stays as
 * it is. With a snapshot and no target, the version goes back to whose data that is; where this node refuses that
 * one, the current stays. Refuses a version that is not here, that failed here, or that could not read its data.
 */
export function planRollback(situation: RollbackSituation, request: RollbackRequest): SwitchPlan {
  const restore = request.withData === undefined ? undefined : snapshotOf(situation, request.withData);
  const target = restore !== undefined && request.to === undefined ? ownerOf(situation, restore) : undefined;
  const { image, config } = target ?? chooseTarget(situation, request.to);
  const slot = slotOf(situation, image);
  if (restore === undefined) refuseUnreadable(situation, slot);
  else refuseUnreadableSnapshot(situation, slot, restore);
  const leaves = situation.current !== undefined && situation.current.image !== slot.image;
  return {
    image: slot.image,
    version: slot.version,
    config: configOf(situation, request, config),
    ...commonPlan(situation, requireApp(slot), restore !== undefined),
    ...(restore === undefined ? {} : { restore: restore.id }),
    ...(leaves ? { quarantine: request.cause ?? "rolled back by command" } : {}),
  };
}

/** The generation a rollback without `--to` leads to: the newest good one with another image, still here, not refused. */
export function rollbackTarget(situation: RollbackSituation): Ran | undefined {
  return situation.generations.find(
    (generation) =>
      generation.state === "good" &&
      generation.image !== situation.current?.image &&
      situation.slots.some((slot) => slot.image === generation.image && slot.state === "good" && !slot.quarantined),
  );
}

function configOf(situation: RollbackSituation, { to, withConfig }: RollbackRequest, config: number) {
  const { app, current } = situation;
  if (typeof withConfig === "number") return withConfig;
  if (withConfig !== true) return current?.config ?? config;
  if (to !== CURRENT) return config;
  const before = situation.configBefore();
  if (before !== undefined) return before;
  throw new HostdError("no-rollback-target", `${app} has no earlier config that was good on this node`, {
    hint: `hostd changes ${app}`,
  });
}

/** Refuses data of a snapshot for a version that cannot read it, naming one that can: the snapshot's own before others. */
function refuseUnreadableSnapshot(situation: RollbackSituation, slot: Candidate, snapshot: SnapshotDocument): void {
  const { app, slots } = situation;
  const { id, format } = snapshot;
  const declared = requireApp(slot);
  if (canRead(declared, format)) return;
  const owner = ownerOf(situation, snapshot)?.image;
  const readers = slots.filter((one) => one.state !== "failed" && !one.quarantined && canRead(requireApp(one), format));
  const reader = readers.find(({ image }) => image === owner) ?? readers[0];
  const to = reader === undefined || reader.image === owner ? "" : ` --to ${shortDigest(reader.image)}`;
  const message = `${app} ${slot.version} reads ${describeReads(declared)}, snapshot ${id} is format ${format}`;
  throw new HostdError("data-format", message, {
    hint: reader === undefined ? "no version on this node reads it" : `hostd rollback ${app}${to} --with-data ${id}`,
    details: { format, reads: describeReads(declared), snapshot: id },
  });
}

/** The generation whose data a snapshot holds, or the current one where that one may not run. */
function ownerOf(situation: RollbackSituation, snapshot: { generation?: number | undefined }) {
  const owner = snapshot.generation === undefined ? undefined : situation.generation(snapshot.generation);
  const allowed = situation.slots.some(
    (slot) => slot.image === owner?.image && slot.state !== "failed" && !slot.quarantined,
  );
  return allowed ? owner : situation.current;
}

function chooseTarget(situation: RollbackSituation, to: string | undefined) {
  if (to === undefined) {
    const found = rollbackTarget(situation);
    if (found !== undefined) return found;
    throw new HostdError("no-rollback-target", `${situation.app} has no earlier good version on this node`, {
      hint: `hostd status ${situation.app} lists what is here`,
    });
  }
  if (to === CURRENT) return currentOf(situation);
  const numbered = /^\d{1,9}$/.test(to) ? situation.generation(Number(to)) : undefined;
  const found = numbered ?? byDigest(situation, to); // a digest may begin with digits alone
  if (found !== undefined) return found;
  throw new HostdError("unknown-image", `${situation.app} has no generation or image ${JSON.stringify(to)}`, {
    hint: `hostd status ${situation.app} lists what is here`,
  });
}

function currentOf({ app, current }: RollbackSituation) {
  if (current !== undefined) return current;
  throw new HostdError("not-staged", `${app} runs nothing on this node`, { hint: `hostd activate ${app}` });
}

function byDigest(situation: RollbackSituation, text: string) {
  const hex = text.replace(/^sha256:/, "");
  const matches = situation.slots.filter((slot) => hex.length >= 6 && slot.image.startsWith(`sha256:${hex}`));
  const [slot] = matches;
  if (slot === undefined && hex.length >= 6) return gone(situation, hex);
  if (slot === undefined || matches.length > 1) return undefined;
  const known = situation.generations.find((generation) => generation.image === slot.image);
  return { image: slot.image, config: known?.config ?? situation.current?.config ?? 0 };
}

/** One that was good here and is no longer on the node: that is told by its name. */
function gone(situation: RollbackSituation, hex: string) {
  const [generation, ...others] = situation.onceGood(hex);
  return others.length > 0 ? undefined : generation;
}

function slotOf(situation: RollbackSituation, image: Digest) {
  const slot = situation.slots.find((candidate) => candidate.image === image);
  if (slot === undefined) {
    throw new HostdError("not-staged", `${situation.app} ${shortDigest(image)} is no longer on this node`, {
      hint: `hostd stage ${situation.app} ${shortDigest(image)} brings it again`,
      details: { app: situation.app, image },
    });
  }
  refuseFailed(situation.app, slot);
  if (slot.quarantined && slot.image !== situation.current?.image) {
    throw new HostdError("quarantined", `${situation.app} ${slot.version} (${shortDigest(image)}) is quarantined`, {
      hint: `hostd release ${shortDigest(image)} lifts it`,
    });
  }
  return slot;
}

function snapshotOf(situation: RollbackSituation, id: string) {
  const found = situation.snapshots.find((snapshot) => snapshot.id === id);
  if (found?.digest?.damaged !== undefined) throw damaged(found, found.digest.damaged);
  if (found !== undefined) return found;
  const known = situation.snapshots.map((snapshot) => snapshot.id);
  throw new HostdError("unknown-snapshot", `${situation.app} has no snapshot ${JSON.stringify(id)}`, {
    hint: known.length === 0 ? `${situation.app} has no snapshots` : `it has ${known.join(", ")}`,
  });
}

function damaged({ app, id }: SnapshotDocument, since: string): HostdError {
  return new HostdError(
    "snapshot-damaged",
    `snapshot ${id} of ${app}: expected what was recorded, found other since ${since}`,
    {
      hint: `hostd snapshot list ${app} shows others; hostd snapshot verify ${app} ${id} reads it again`,
    },
  );
}
