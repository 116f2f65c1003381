import * as z from "zod";
import { digestSchema } from "./digest.ts";
import { DOCUMENT_LIMITS, parseDocument } from "./document.ts";

/** Path of a product's release document among the TUF targets of its channel's delegated role. */
export function releasePath(channel: string, product: string): string {
  return `${channel}/${product}.json`;
}

/** What a release may call its version: a word that tables, paths of the API and terminals take as it is. */
export const VERSION = /^[\w.+:~-]{1,128}$/;

/** What a channel's release keys sign through TUF: which image a product runs, in which order (design section 5). */
const releaseSchema = z.strictObject({
  schema: z.literal(1),
  product: z.string(),
  channel: z.string(),
  /** Rises by at least one with every release of the product in the channel; a node never takes a lower one. */
  sequence: z.int().positive(),
  version: z.string(),
  image: z.strictObject({ digest: digestSchema, size: z.int().positive() }),
  /** Declared values for the image's CONFIG templates. */
  config: z.record(z.string(), z.string()).default({}),
  created: z.iso.datetime(),
});

export type Release = z.infer<typeof releaseSchema>;

export function parseRelease(bytes: Uint8Array): Release {
  return parseDocument(bytes, releaseSchema, "release", DOCUMENT_LIMITS.release);
}

export const releaseExample: Release = {
  schema: 1,
  product: "shop",
  channel: "production",
  sequence: 7,
  version: "1.4.0",
  image: { digest: `sha256:${"0".repeat(64)}`, size: 1234 },
  config: { greeting: "hello" },
  created: "2026-11-21T08:00:00Z",
};
