import * as z from "zod";

/** A SHA-256 content digest as OCI writes it: `sha256:` and 64 lower-case hex digits. */
export type Digest = `sha256:${string}`;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

export const digestSchema = z.custom<Digest>((value) => isDigest(value), {
  error: "expected sha256: and 64 lower-case hex digits",
});

export function isDigest(value: unknown): value is Digest {
  return typeof value === "string" && DIGEST.test(value);
}

/** The 64 hex digits alone, as blob files are named. */
export function hexOf(digest: Digest): string {
  return digest.slice("sha256:".length);
}

export function digestFromHex(hex: string): Digest {
  const digest = `sha256:${hex}`;
  if (!isDigest(digest)) throw new TypeError(`expected 64 lower-case hex digits, got ${JSON.stringify(hex)}`);
  return digest;
}

/** The first 12 hex digits: what tables show to people. */
export function shortDigest(digest: Digest): string {
  return hexOf(digest).slice(0, 12);
}
