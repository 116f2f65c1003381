import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { unlessMissing } from "../../effects/errno.ts";
import { READ_SIZE, type Source } from "../../effects/source.ts";
import { type Digest, hexOf } from "../../manifests/digest.ts";
import type { Descriptor } from "../../manifests/image.ts";
import { HostdError } from "../error.ts";

/** Where a blob lies in a repository. */
export function blobPath(digest: Digest): string {
  return `oci/blobs/sha256/${hexOf(digest)}`;
}

/** A small blob, verified against its digest before anybody parses it. */
export async function readBlob(source: Source, blob: { digest: Digest; size: number }, limit: number): Promise<Buffer> {
  const bytes = await source.read(blobPath(blob.digest), limit);
  if (bytes === undefined) throw missing(source, blob.digest);
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found !== hexOf(blob.digest)) throw wrongDigest(source, blob.digest, `sha256:${found}`);
  return bytes;
}

export interface Fetch {
  source: Source;
  layer: Descriptor;
  /** Directory of partial files; a file there is named by the blob's hex digest. */
  parts: string;
  signal: AbortSignal;
  onBytes(received: number): void;
}

/**
 * Fetches a layer blob into `parts/<hex>`, going on where an earlier try ended, and answers its path once the whole
 * file has the right digest. A partial file that turns out wrong is thrown away and fetched once more from its start.
 */
export async function fetchLayer(fetch: Fetch): Promise<string> {
  const path = join(fetch.parts, hexOf(fetch.layer.digest));
  const partial = (await unlessMissing(stat(path)))?.size ?? 0;
  if (partial > 0 && (await isWhole(fetch, path, partial))) return path;
  const resumable = partial > 0 && partial < fetch.layer.size ? partial : 0;
  if (resumable === 0) await rm(path, { force: true });
  await append(fetch, path, resumable);
  const found = await digestOf(path);
  if (found === hexOf(fetch.layer.digest)) return path;
  await rm(path, { force: true });
  if (resumable > 0) return await fetchLayer(fetch);
  throw wrongDigest(fetch.source, fetch.layer.digest, `sha256:${found}`);
}

async function isWhole({ layer }: Fetch, path: string, size: number): Promise<boolean> {
  return size === layer.size && (await digestOf(path)) === hexOf(layer.digest);
}

async function append(fetch: Fetch, path: string, offset: number): Promise<void> {
  const { source, layer, signal } = fetch;
  const chunks = await source.stream(blobPath(layer.digest), offset);
  if (chunks === undefined) throw missing(source, layer.digest);
  const file = createWriteStream(path, { flags: "a", highWaterMark: READ_SIZE });
  await pipeline(counted(fetch, chunks, offset), file, { signal });
}

async function* counted(fetch: Fetch, chunks: AsyncIterable<Uint8Array>, offset: number) {
  let received = offset;
  for await (const chunk of chunks) {
    received += chunk.length;
    if (received > fetch.layer.size) {
      throw new HostdError(
        "blob-digest",
        `${fetch.source.location}/${blobPath(fetch.layer.digest)}: expected ${fetch.layer.size} bytes, got more`,
      );
    }
    yield chunk;
    fetch.onBytes(received);
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: READ_SIZE })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

function missing(source: Source, digest: Digest): HostdError {
  return new HostdError("blob-missing", `${source.location}: expected a blob at ${blobPath(digest)}, found none`, {
    hint: "promote the image again: ostler promote copies what is missing",
  });
}

function wrongDigest(source: Source, digest: Digest, found: string): HostdError {
  return new HostdError("blob-digest", `${source.location}/${blobPath(digest)}: expected ${digest}, got ${found}`, {
    hint: "the repository's copy is damaged: promote the image again",
    details: { expected: digest, found },
  });
}
