import * as z from "zod";
import { BOOT_ANNOTATION } from "../../manifests/boot.ts";
import { type Digest, digestSchema, shortDigest } from "../../manifests/digest.ts";
import { type ImageConfig, type ImageManifest, parseImageConfig, parseManifest } from "../../manifests/image.ts";
import { SLOT_STATES, type SlotDocument } from "../../manifests/node.ts";
import { HostdError } from "../error.ts";
import { SLOT_TRANSITIONS, type SlotAction } from "../states.ts";
import { type Database, json } from "./database.ts";
import type { Events } from "./events.ts";
import type { Operations } from "./operations.ts";
import { parsedOnce } from "./parsed-once.ts";
import { transition } from "./transition.ts";

const row = z.object({
  app: z.string(),
  image: digestSchema,
  sequence: z.int(),
  version: z.string(),
  channel: z.string(),
  state: z.enum(SLOT_STATES),
  pinned: z.string().optional(),
  declared: json(z.record(z.string(), z.string())),
  manifest: z.string().transform(parsedOnce((text): ImageManifest => parseManifest(Buffer.from(text)))),
  config: z.string().transform(parsedOnce((text): ImageConfig => parseImageConfig(Buffer.from(text)))),
  staged_at: z.string(),
  staged_order: z.int(),
  last_good_at: z.string().optional(),
});

const texts = z.object({ manifest: z.string(), config: z.string() });

const stagedRow = z.object({
  operation: z.int(),
  detail: json(
    z.object({
      version: z.string(),
      sequence: z.int(),
      channel: z.string().optional(),
      declared: z.record(z.string(), z.string()).optional(),
    }),
  ),
});

/** One staged version: everything needed to run it without asking anybody. */
export type SlotRow = z.infer<typeof row>;

export interface NewSlot {
  app: string;
  image: Digest;
  sequence: number;
  version: string;
  channel: string;
  declared: Record<string, string>;
  /** Text of the OCI manifest and config, verified against the signed release. */
  manifest: string;
  config: string;
  /** Of a version that comes again: the operation that brought it when it was released, in whose place it stands. */
  order?: number | undefined;
}

export interface Slots {
  get(app: string, image: Digest): SlotRow | undefined;
  /** The slot, or an error that says how to stage it. */
  require(app: string, image: Digest): SlotRow;
  /** Newest first. */
  list(app: string): SlotRow[];
  /** The text of the image's documents, as they were signed. */
  documents(app: string, image: Digest): { manifest: string; config: string } | undefined;
  /** What was recorded when an image was released to this node last, also of one that is gone; the oldest records say less. */
  lastStaged(app: string, image: Digest): z.infer<typeof stagedRow> | undefined;
  /** The product of which a host image is here: the system of this node. */
  hostApp(): string | undefined;
  /** Records a staged version; one that is there takes over the release's sequence, version and values. */
  stage(operation: number, slot: NewSlot): void;
  /** Moves a slot by the table of states; throws on an illegal transition. */
  move(operation: number, app: string, image: Digest, action: Exclude<SlotAction, "stage" | "release">): void;
  pin(app: string, image: Digest, reason: string | undefined): void;
  /** Lets a failed version be tried again. */
  release(app: string, image: Digest): void;
}

export function openSlots(database: Database, events: Events, operations: Operations, date: () => Date): Slots {
  const get = (app: string, image: Digest) =>
    database.one(row, "SELECT * FROM slots WHERE app = ? AND image = ?", [app, image]);

  function require(app: string, image: Digest): SlotRow {
    const slot = get(app, image);
    if (slot !== undefined) return slot;
    throw new HostdError("not-staged", `${app} ${shortDigest(image)} is not on this node`, {
      hint: `hostd stage ${app} brings what the channel releases`,
      details: { app, image },
    });
  }

  return {
    get,
    require,
    list: (app) => database.all(row, "SELECT * FROM slots WHERE app = ? ORDER BY staged_order DESC", [app]),
    documents: (app, image) =>
      database.one(texts, "SELECT manifest, config FROM slots WHERE app = ? AND image = ?", [app, image]),
    lastStaged: (app, image) =>
      database.one(
        stagedRow,
        `SELECT operation, detail FROM events
         WHERE kind = 'slot.staged' AND app = ? AND json_extract(detail, '$.image') = ?
           AND json_extract(detail, '$.again') IS NULL ORDER BY id DESC LIMIT 1`,
        [app, image],
      ),
    hostApp() {
      const sql = "SELECT app FROM slots WHERE json_type(manifest, ?) IS NOT NULL LIMIT 1";
      return database.one(z.object({ app: z.string() }), sql, [`$.annotations."${BOOT_ANNOTATION}"`])?.app;
    },
    stage(operation, slot) {
      database.transaction(() => {
        operations.requireLock(operation, slot.app, "stage");
        const { app, image, version, sequence, channel, declared, order = operation } = slot;
        const again = slot.order === undefined ? {} : { again: true };
        const staged = () =>
          events.append("slot.staged", {
            app,
            operation,
            detail: { image, version, sequence, channel, declared, ...again },
          });
        const known = get(app, image);
        if (known !== undefined) {
          if (slot.order !== undefined) return; // it is here, as it was released
          database.run(
            "UPDATE slots SET sequence = ?, version = ?, channel = ?, declared = ?, staged_order = ? WHERE app = ? AND image = ?",
            [sequence, version, channel, JSON.stringify(declared), order, app, image],
          );
          if (known.sequence !== sequence || known.channel !== channel) staged();
          return;
        }
        const state = transition(SLOT_TRANSITIONS, `slot ${slot.image}`, "absent", "stage");
        database.run(
          `INSERT INTO slots (app, image, sequence, version, channel, state, declared, manifest, config, staged_at, staged_order)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          [
            app,
            image,
            sequence,
            version,
            channel,
            state,
            JSON.stringify(declared),
            slot.manifest,
            slot.config,
            date().toISOString(),
            order,
          ],
        );
        staged();
      });
    },
    move(operation, app, image, action) {
      database.transaction(() => {
        operations.requireLock(operation, app, action === "collect" ? "stage" : "switch");
        const slot = require(app, image);
        const state = transition(SLOT_TRANSITIONS, `slot ${app} ${shortDigest(image)}`, slot.state, action);
        if (state === "absent") database.run("DELETE FROM slots WHERE app = ? AND image = ?", [app, image]);
        else database.run("UPDATE slots SET state = ? WHERE app = ? AND image = ?", [state, app, image]);
        if (action === "bless") {
          database.run("UPDATE slots SET last_good_at = ? WHERE app = ? AND image = ?", [
            date().toISOString(),
            app,
            image,
          ]);
        }
        const kind = EVENTS[action];
        if (kind !== undefined) events.append(kind, { app, operation, detail: { image, version: slot.version } });
      });
    },
    release(app, image) {
      const slot = require(app, image);
      const state = transition(SLOT_TRANSITIONS, `slot ${app} ${shortDigest(image)}`, slot.state, "release");
      database.run("UPDATE slots SET state = ? WHERE app = ? AND image = ?", [state, app, image]);
    },
    pin(app, image, reason) {
      database.transaction(() => {
        require(app, image);
        database.run("UPDATE slots SET pinned = ? WHERE app = ? AND image = ?", [reason, app, image]);
        const detail = { image, ...(reason === undefined ? {} : { reason }) };
        events.append(reason === undefined ? "slot.unpinned" : "slot.pinned", { app, detail });
      });
    },
  };
}

const EVENTS: { readonly [action in SlotAction]?: "slot.good" | "slot.failed" | "slot.collected" } = {
  bless: "slot.good",
  condemn: "slot.failed",
  collect: "slot.collected",
};

export function toSlotDocument(slot: SlotRow): SlotDocument {
  return {
    image: slot.image,
    version: slot.version,
    sequence: slot.sequence,
    channel: slot.channel,
    state: slot.state,
    ...(slot.pinned === undefined ? {} : { pinned: slot.pinned }),
    staged: slot.staged_at,
    ...(slot.last_good_at === undefined ? {} : { lastGood: slot.last_good_at }),
  };
}
