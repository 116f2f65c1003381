import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { hasErrno } from "../effects/errno.ts";
import { READ_SIZE } from "../effects/source.ts";
import { type Digest, hexOf } from "../manifests/digest.ts";
import { ErofsError } from "./erofs/error.ts";
import { giveBack } from "./give-back.ts";

/**
 * The bytes of a blob, the first of them after all were found to have this size and digest. The file is read twice;
 * each piece of the second reading must continue the hash as in the first, so nobody is given bytes that were not
 * verified, whoever may write to the file meanwhile. A piece is good until the second one after it is asked for.
 * Throws ErofsError `blob-missing` or `blob-digest`.
 */
export async function* readVerified(path: string, blob: { digest: Digest; size: number }): AsyncIterable<Buffer> {
  const file = await open(path, "r").catch((cause: unknown) => {
    throw hasErrno(cause, "ENOENT", "ENOTDIR") ? missing(path) : unreadable(path, cause);
  });
  try {
    const known = await verify(file, path, blob);
    const hash = createHash("sha256");
    const given: Buffer[] = [];
    for await (const piece of piecesOf(file, path, blob.size, Buffer.allocUnsafeSlow)) {
      if (markOf(hash.update(piece)) !== known.shift()) throw changed(path);
      yield piece;
      given.push(piece);
      if (given.length > 1) giveBack(given.shift() ?? piece);
    }
  } finally {
    await file.close();
  }
}

/** The hash of all bytes up to the end of each piece; the last one is the blob's digest. */
async function verify(file: FileHandle, path: string, blob: { digest: Digest; size: number }): Promise<string[]> {
  const { size } = await file.stat();
  if (size !== blob.size) throw damaged(path, `${blob.size} bytes`, String(size));
  const hash = createHash("sha256");
  const marks: string[] = [];
  const buffers = [Buffer.allocUnsafeSlow(READ_SIZE), Buffer.allocUnsafeSlow(READ_SIZE)] as const;
  let reads = 0;
  const inTurn = () => buffers[(reads++ % 2) as 0 | 1];
  for await (const piece of piecesOf(file, path, size, inTurn)) marks.push(markOf(hash.update(piece)));
  const found = hash.digest("hex");
  if (found !== hexOf(blob.digest)) throw damaged(path, blob.digest, `sha256:${found}`);
  return marks;
}

function markOf(hash: ReturnType<typeof createHash>): string {
  return hash.copy().digest("binary");
}

/** Pieces of READ_SIZE; the next one is read into another buffer while one is worked on. */
async function* piecesOf(
  file: FileHandle,
  path: string,
  size: number,
  buffer: (size: number) => Buffer,
): AsyncIterable<Buffer> {
  const read = (start: number) => {
    const reading = readPiece(file, path, buffer(READ_SIZE).subarray(0, Math.min(READ_SIZE, size - start)), start);
    reading.catch(() => {}); // whoever waits for it is told
    return reading;
  };
  let next = read(0);
  for (let start = 0; start < size; start += READ_SIZE) {
    const piece = await next;
    if (start + READ_SIZE < size) next = read(start + READ_SIZE);
    yield piece;
  }
  await next;
}

async function readPiece(file: FileHandle, path: string, target: Buffer, start: number): Promise<Buffer> {
  for (let at = 0; at < target.length; ) {
    const { bytesRead } = await file.read(target, at, target.length - at, start + at).catch((cause: unknown) => {
      throw unreadable(path, cause);
    });
    if (bytesRead === 0) throw changed(path);
    at += bytesRead;
  }
  return target;
}

const DAMAGED = { hint: "the repository's copy is damaged: promote the image again" };

function missing(path: string): ErofsError {
  return new ErofsError("blob-missing", `${path}: expected a blob, found none`, {
    hint: "promote the image again: ostler promote copies what is missing",
  });
}

function damaged(path: string, expected: string, found: string): ErofsError {
  return new ErofsError("blob-digest", `${path}: expected ${expected}, got ${found}`, DAMAGED);
}

function changed(path: string): ErofsError {
  return new ErofsError("blob-digest", `${path}: expected the bytes that were verified, got others`, {
    hint: "the repository changed while it was read: stage again",
  });
}

function unreadable(path: string, cause: unknown): ErofsError {
  return new ErofsError("blob-missing", `${path}: expected to read a blob: ${(cause as Error).message}`, { cause });
}
