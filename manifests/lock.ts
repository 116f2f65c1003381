import * as z from "zod";
import { digestSchema } from "./digest.ts";
import { DOCUMENT_LIMITS, parseDocument } from "./document.ts";

/** `NAME.recipe.lock`: what each FROM resolved to, and the times that file times are clamped to (docs/adr/0002). */
const lockSchema = z.strictObject({
  schema: z.literal(1),
  /** Seconds since 1970: file times of everything that BOOTSTRAP makes are clamped to this. */
  epoch: z.int().nonnegative(),
  /** FROM reference as written -> digest of what it gave: diff_id of a made base, manifest digest of an image. */
  bases: z.record(z.string(), digestSchema),
});

export type Lock = z.infer<typeof lockSchema>;

export function parseLock(bytes: Uint8Array): Lock {
  return parseDocument(bytes, lockSchema, "recipe lock", DOCUMENT_LIMITS.lock);
}

export const lockExample: Lock = {
  schema: 1,
  epoch: 1_763_712_000,
  bases: { "debian:bookworm": `sha256:${"6".repeat(64)}` },
};
