import { type FileHandle, open } from "node:fs/promises";
import { hasErrno } from "../effects/errno.ts";
import { READ_SIZE } from "../effects/source.ts";
import type { LayerVerity } from "../manifests/image.ts";
import { ErofsError } from "./erofs/error.ts";
import { HASH_SIZE, hashBlock, hashLevelSizes } from "./erofs/hashtree.ts";
import { BLOCK_SIZE, EROFS_FORMAT } from "./erofs/limits.ts";

/**
 * Checks every byte of a laid-down layer, image and hash tree, against the signed root hash. Throws ErofsError
 * `image-damaged` with the file, the first bad block and its byte offset in the file, or says that the hash tree
 * itself is damaged: then nothing below that block of the tree can be told. `pace` is waited for between pieces.
 */
export async function verifyErofs(
  path: string,
  verity: LayerVerity,
  pace?: (bytes: number) => Promise<void>,
): Promise<void> {
  if (verity.format !== EROFS_FORMAT) {
    throw new ErofsError("layer-format", `${path}: expected EROFS format ${EROFS_FORMAT}, got ${verity.format}`);
  }
  await withLayerFile(path, async (file) => {
    const blocks = verity.size / BLOCK_SIZE;
    const levels = hashLevelSizes(blocks);
    await checkSize(file, path, verity.size + sum(levels) * BLOCK_SIZE);
    const image: Region = { file, path, start: 0, what: "data block" };
    const tree: Region = { file, path, start: verity.size, what: "hash tree block" };

    let digests = Buffer.from(verity.root, "hex");
    let block = 0;
    for (const count of levels.slice(0, -1)) {
      const level: Buffer[] = [];
      for await (const piece of checkedBlocks(tree, block, count, digests)) level.push(Buffer.from(piece));
      digests = Buffer.concat(level);
      block += count;
    }
    let data = 0;
    for await (const leaves of checkedBlocks(tree, block, levels.at(-1) ?? 0, digests)) {
      const count = Math.min(blocks - data, leaves.length / HASH_SIZE);
      for await (const checked of checkedBlocks(image, data, count, leaves)) {
        data += checked.length / BLOCK_SIZE;
        await pace?.(checked.length);
      }
    }
  });
}

/** A part of the file that is counted in blocks. */
interface Region {
  file: FileHandle;
  path: string;
  start: number;
  what: string;
}

/** Reads blocks in large pieces, each block checked against its digest. A piece is valid until the next is asked for. */
async function* checkedBlocks(region: Region, first: number, count: number, digests: Buffer): AsyncIterable<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, count * BLOCK_SIZE));
  for (let done = 0; done < count; ) {
    const offset = region.start + (first + done) * BLOCK_SIZE;
    const piece = buffer.subarray(0, Math.min(buffer.length, (count - done) * BLOCK_SIZE));
    await readWhole(region, piece, offset);
    for (let at = 0; at < piece.length; at += BLOCK_SIZE, done++) {
      const expected = digests.toString("latin1", done * HASH_SIZE, (done + 1) * HASH_SIZE);
      if (hashBlock(piece.subarray(at, at + BLOCK_SIZE)) !== expected) throw damaged(region, first + done);
    }
    yield piece;
  }
}

async function readWhole({ file, path }: Region, target: Buffer, offset: number): Promise<void> {
  for (let at = 0; at < target.length; ) {
    const { bytesRead } = await file.read(target, at, target.length - at, offset + at).catch((cause: unknown) => {
      throw unreadable(path, offset + at, cause);
    });
    if (bytesRead === 0) throw unreadable(path, offset + at);
    at += bytesRead;
  }
}

function unreadable(path: string, offset: number, cause?: unknown): ErofsError {
  const why = cause instanceof Error ? cause.message : "the file ends there";
  const message = `${path}: expected bytes at byte offset ${offset}, got none: ${why}`;
  return new ErofsError("image-damaged", message, { hint: REPAIR_HINT, details: { file: path, offset }, cause });
}

function damaged({ path, start, what }: Region, block: number): ErofsError {
  const offset = start + block * BLOCK_SIZE;
  const message = `${path}: expected the signed bytes in ${what} ${block} at byte offset ${offset}, got others`;
  return new ErofsError("image-damaged", message, {
    hint: REPAIR_HINT,
    details: { file: path, part: what, block, offset },
  });
}

async function checkSize(file: FileHandle, path: string, expected: number): Promise<void> {
  const { size } = await file.stat();
  if (size === expected) return;
  throw new ErofsError("image-damaged", `${path}: expected ${expected} bytes with the hash tree, got ${size}`, {
    hint: REPAIR_HINT,
    details: { file: path },
  });
}

async function withLayerFile(path: string, use: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, "r").catch((error: unknown) => {
    if (!hasErrno(error, "ENOENT")) throw error;
    throw new ErofsError("image-missing", `${path}: expected a laid-down layer, got no file`, { hint: REPAIR_HINT });
  });
  try {
    await use(file);
  } finally {
    await file.close();
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Mends the layer of any version on the node, whether the channel still releases that or not. */
export const REPAIR_HINT = "hostd fsck --repair lays it down again from a verified blob";
