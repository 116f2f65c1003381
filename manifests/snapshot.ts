import * as z from "zod";

// Snapshots of an app's data, as hostd tells them.

const time = z.iso.datetime();

/** How a snapshot's app was kept from writing: it was stopped, or its own hook made it quiet. */
export const CONSISTENCIES = ["stopped", "quiesced"] as const;

/** What a first whole reading of a snapshot found. */
export const recordedDigestSchema = z.object({
  /** SHA-256 over names, kinds, modes, owners, times and bytes. */
  value: z.string(),
  files: z.int(),
  bytes: z.int(),
  /** When it was read, which is after it was taken. */
  at: time,
  /** Since when readings find something else; absent where the last one was as recorded. */
  damaged: time.optional(),
});

export const snapshotDocumentSchema = z.object({
  id: z.string(),
  app: z.string(),
  /** Data format of what it holds. */
  format: z.int(),
  /** The operation that made it and the generation whose data it is. */
  operation: z.int(),
  generation: z.int().optional(),
  reason: z.string(),
  taken: time,
  consistency: z.enum(CONSISTENCIES),
  /** hostd forgets it from then on; absent: never by itself. */
  expires: time.optional(),
  digest: recordedDigestSchema.optional(),
});

export type RecordedDigest = z.infer<typeof recordedDigestSchema>;
export type Consistency = (typeof CONSISTENCIES)[number];
export type SnapshotDocument = z.infer<typeof snapshotDocumentSchema>;
