import * as z from "zod";
import { digestSchema } from "./digest.ts";
import { recordedDigestSchema, snapshotDocumentSchema } from "./snapshot.ts";

// What hostd says of the layers on its disk: found sound, damaged, repaired, and what could be collected.

const damageSchema = z.object({
  /** Verity root of the layer, or what else is wrong. */
  what: z.string(),
  /** File, block and byte offset. */
  message: z.string(),
  /** `app version` of every slot that stands on it. */
  slots: z.array(z.string()),
  repaired: z.boolean(),
  /** Why it could not be repaired. */
  reason: z.string().optional(),
});

export const careDocumentSchema = z.object({
  schema: z.literal(1),
  /** When it began. */
  at: z.iso.datetime(),
  layers: z.int(),
  bytes: z.number(),
  damaged: z.array(damageSchema),
});

/** What the last pass over the layers left damaged; nothing where there was none yet. */
export function unrepaired(scrub: CareDocument | undefined): Damage[] {
  return scrub?.damaged.filter(({ repaired }) => !repaired) ?? [];
}

/** One look at everything but the layers: journal, versions, snapshots. */
export const lookDocumentSchema = z.object({
  schema: z.literal(1),
  at: z.iso.datetime(),
  /** So many changes were ever made to it; `verified`: when it was last read whole, and held what was written. */
  journal: z.object({ changes: z.int(), verified: z.iso.datetime().optional() }),
  /** Snapshots whose time is over: they go at the next look. */
  due: z.int(),
  /** What could not be looked after. */
  problems: z.array(z.string()),
});

export const pruneDocumentSchema = z.object({
  schema: z.literal(1),
  collected: z.array(z.object({ app: z.string(), image: digestSchema, version: z.string() })),
  /** Verity roots of layers that no slot needs then. */
  layers: z.array(z.string()),
});

export const snapshotCheckSchema = z.object({
  schema: z.literal(1),
  app: z.string(),
  id: z.string(),
  at: z.iso.datetime(),
  /** `recorded`: nobody had read it before, so there was nothing to compare with; from now on there is. */
  outcome: z.enum(["same", "differs", "recorded"]),
  recorded: recordedDigestSchema.optional(),
  found: recordedDigestSchema,
});

export const snapshotsDocumentSchema = z.object({
  schema: z.literal(1),
  /** Newest first. */
  snapshots: z.array(
    snapshotDocumentSchema.extend({
      /** Bytes it holds, and those that forgetting it would give back where the node can tell. */
      size: z.object({ bytes: z.number(), exclusive: z.number().optional() }).optional(),
      /** Why neither time nor quota takes it. */
      kept: z.string().optional(),
    }),
  ),
});

export type SnapshotCheck = z.infer<typeof snapshotCheckSchema>;
export type SnapshotsDocument = z.infer<typeof snapshotsDocumentSchema>;
export type Damage = z.infer<typeof damageSchema>;
export type CareDocument = z.infer<typeof careDocumentSchema>;
export type LookDocument = z.infer<typeof lookDocumentSchema>;
export type PruneDocument = z.infer<typeof pruneDocumentSchema>;
