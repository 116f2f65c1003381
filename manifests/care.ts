import * as z from "zod";
import { digestSchema } from "./digest.ts";

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

export const pruneDocumentSchema = z.object({
  schema: z.literal(1),
  collected: z.array(z.object({ app: z.string(), image: digestSchema, version: z.string() })),
  /** Verity roots of layers that no slot needs then. */
  layers: z.array(z.string()),
});

export type Damage = z.infer<typeof damageSchema>;
export type CareDocument = z.infer<typeof careDocumentSchema>;
export type PruneDocument = z.infer<typeof pruneDocumentSchema>;
