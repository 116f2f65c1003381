import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { hasErrno, unlessMissing } from "../../effects/errno.ts";
import { READ_SIZE, type Source } from "../../effects/source.ts";
import { type Digest, hexOf } from "../../manifests/digest.ts";
import { BLOBS } from "../../manifests/image.ts";
import { HostdError } from "../error.ts";
import type { Pace } from "./pace.ts";

/** Where a blob lies in a repository. */
export function blobPath(digest: Digest): string {
  return `${BLOBS}/${hexOf(digest)}`;
}

/** A small blob, verified against its digest before anybody parses it. */
export async function readBlob(source: Source, blob: { digest: Digest }, limit: number): Promise<Buffer> {
  const bytes = await source.read(blobPath(blob.digest), limit);
  if (bytes === undefined) throw missing(source, blob.digest);
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found !== hexOf(blob.digest)) throw wrongDigest(source, blob.digest, `sha256:${found}`);
  return bytes;
}

export interface Fetch {
  source: Source;
  layer: { digest: Digest; size: number };
  /** Directory of partial files; a file there is named by the blob's hex digest. */
  parts: string;
  signal: AbortSignal;
  /** Waits until so many bytes may be taken. */
  pace: Pace;
  /** Waits before a cut transfer is gone on with, milliseconds. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
  onBytes(received: number): void;
}

/** Tries in a row that brought nothing new before a transfer is given up, and the first pause between two. */
const FRUITLESS_TRIES = 4;
const FIRST_PAUSE = 500;

/**
 * Fetches a layer blob into `parts/<hex>`, going on where an earlier try ended, and answers its path once the whole
 * file has the right digest. A transfer that is cut goes on from there, as long as each try brings something. A partial
 * file that turns out wrong is thrown away and fetched once more from its start.
 */
export async function fetchLayer(fetch: Fetch): Promise<string> {
  const path = join(fetch.parts, hexOf(fetch.layer.digest));
  const earlier = await sizeOf(path);
  if (earlier > fetch.layer.size) await rm(path, { force: true });
  const resumed = earlier > 0 && earlier <= fetch.layer.size;
  const hash = createHash("sha256");
  if (resumed) await hashFile(hash, path);
  await appendAll(fetch, path, hash);
  const found = hash.digest("hex");
  if (found === hexOf(fetch.layer.digest)) return path;
  await rm(path, { force: true });
  if (resumed) return await fetchLayer(fetch);
  throw wrongDigest(fetch.source, fetch.layer.digest, `sha256:${found}`);
}

async function appendAll(fetch: Fetch, path: string, hash: Hash): Promise<void> {
  for (let tries = 1; ; tries++) {
    const offset = await sizeOf(path);
    let failed = false;
    if (offset === fetch.layer.size) return;
    try {
      await append(fetch, path, offset, hash);
    } catch (error) {
      if (fetch.signal.aborted || isFinal(error)) throw error;
      failed = true;
      const reached = await sizeOf(path);
      if (reached > offset) tries = 1;
      if (tries >= FRUITLESS_TRIES) throw cut(fetch, reached, error);
    }
    const reached = await sizeOf(path);
    if (reached < fetch.layer.size) {
      if (reached === offset && !failed) throw tooShort(fetch, reached);
      await fetch.sleep(FIRST_PAUSE * 2 ** (tries - 1), fetch.signal);
    }
  }
}

/** What no further try could mend: our own refusals, and a disk that takes nothing more. */
function isFinal(error: unknown): boolean {
  return error instanceof HostdError || hasErrno(error, "ENOSPC", "EDQUOT", "EROFS", "EIO");
}

/** Hashes exactly what it wrote: what a failed write did not take is not in the file's digest either. */
async function append(fetch: Fetch, path: string, offset: number, hash: Hash): Promise<void> {
  const { source, layer, signal, pace } = fetch;
  const chunks = await source.stream(blobPath(layer.digest), offset, signal);
  if (chunks === undefined) throw missing(source, layer.digest);
  const file = await open(path, "a");
  let received = offset;
  try {
    for await (const chunk of chunks) {
      signal.throwIfAborted();
      received += chunk.length;
      if (received > layer.size) throw tooLong(fetch);
      await pace(chunk.length, signal);
      await file.appendFile(chunk);
      hash.update(chunk);
      fetch.onBytes(received);
    }
  } finally {
    await file.close();
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await unlessMissing(stat(path)))?.size ?? 0;
}

async function hashFile(hash: Hash, path: string): Promise<void> {
  for await (const chunk of createReadStream(path, { highWaterMark: READ_SIZE })) hash.update(chunk as Buffer);
}

function tooLong({ source, layer }: Fetch): HostdError {
  const where = `${source.location}/${blobPath(layer.digest)}`;
  return new HostdError("blob-digest", `${where}: expected ${layer.size} bytes, got more`);
}

function tooShort({ source, layer }: Fetch, reached: number): HostdError {
  const where = `${source.location}/${blobPath(layer.digest)}`;
  return new HostdError("blob-digest", `${where}: expected ${layer.size} bytes, got ${reached}`, {
    hint: "the repository's copy is damaged: promote the image again",
  });
}

function cut({ layer }: Fetch, reached: number, cause: unknown): HostdError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new HostdError("blob-cut", `${why}: expected ${layer.size} bytes, got ${reached}`, {
    cause,
    hint: "stage again: it goes on from there",
  });
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
