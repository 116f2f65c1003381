import { ErofsError } from "./error.ts";
import { createHashLevel, type HashTree, type TakeLeaves } from "./hashtree.ts";
import { BLOCK_SIZE, ENTRY_LIMITS } from "./limits.ts";
import type { Scratch } from "./small.ts";

/** Where the bytes of an image go; each call comes once, from low positions to high, and must take all bytes. */
export interface ErofsOutput {
  /** May keep the bytes where it answers another buffer of GATHER_SIZE; else they are written over afterwards. */
  write(bytes: Buffer, position: number): Buffer | undefined;
  /** Takes digests of the hash tree's lowest level as they come; without it they are kept until the end. */
  takeLeaves?: TakeLeaves;
  /** Hashes blocks elsewhere; without it they are hashed before they are written. */
  hasher?: Hasher | undefined;
  /** Takes what would else be kept in memory until the end. */
  scratch?: Scratch;
}

/** Hashes the blocks of an image in their order, while more of them come. */
export interface Hasher {
  /** Takes whole blocks, at most GATHER_SIZE bytes, which are the caller's again; answers digests that are ready. */
  push(blocks: Buffer): Buffer[];
  /** Waits for the digests that were not answered yet. */
  finish(): Buffer[];
}

/** The blocks of an image from block 1 on, each written and hashed once as it fills. */
export interface BlockStream {
  append(bytes: Buffer): void;
  /** Fills the block begun with zeros. */
  pad(): void;
  /** Number of the block that the next byte goes to. */
  position(): number;
  /** Hashes block 0, which is not written here, and closes the tree over all blocks. */
  finish(superblock: Buffer): HashTree;
}

/** Bytes gathered before they are hashed and written together. */
export const GATHER_SIZE = 1024 * 1024;

/** Streams blocks to an output; without one they are only hashed. */
export function createBlockStream(output: ErofsOutput | undefined): BlockStream {
  let buffer: Buffer = Buffer.allocUnsafeSlow(GATHER_SIZE);
  const leaves = createHashLevel(output?.takeLeaves);
  const hasher = output?.hasher;
  let used = 0;
  let written = BLOCK_SIZE;
  leaves.add(Buffer.alloc(BLOCK_SIZE));

  function flush(): void {
    hash(buffer.subarray(0, used));
    if (used > 0) buffer = output?.write(buffer.subarray(0, used), written) ?? buffer;
    written += used;
    used = 0;
    if (written / BLOCK_SIZE > ENTRY_LIMITS.blocks)
      throw new ErofsError("layer-limit", "expected an image below 16 TiB");
  }

  function hash(bytes: Buffer): void {
    if (hasher !== undefined) for (const digests of hasher.push(bytes)) leaves.addDigests(digests);
    else for (let at = 0; at < bytes.length; at += BLOCK_SIZE) leaves.add(bytes.subarray(at, at + BLOCK_SIZE));
  }

  function pad(): void {
    const end = Math.ceil(used / BLOCK_SIZE) * BLOCK_SIZE;
    buffer.fill(0, used, end);
    used = end;
  }

  return {
    pad,
    append(bytes) {
      for (let at = 0; at < bytes.length; ) {
        if (used === GATHER_SIZE) flush();
        const taken = bytes.copy(buffer, used, at);
        used += taken;
        at += taken;
      }
    },
    position: () => Math.floor((written + used) / BLOCK_SIZE),
    finish(superblock) {
      pad();
      flush();
      for (const digests of hasher?.finish() ?? []) leaves.addDigests(digests);
      leaves.setFirst(superblock);
      return leaves.finish();
    },
  };
}
