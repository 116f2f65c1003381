import { hash } from "node:crypto";
import { BLOCK_SIZE } from "./limits.ts";

/** Bytes of a SHA-256 digest, and of one entry of a hash block. */
export const HASH_SIZE = 32;

const HASHES_PER_BLOCK = BLOCK_SIZE / HASH_SIZE;
const HASHES_PER_CHUNK = 32_768;

/** Takes full pieces of the lowest level as they fill, all but the first, with their place in that level in bytes. */
export type TakeLeaves = (bytes: Buffer, position: number) => void;

/** One level of a dm-verity tree while it grows: one digest for each block below. */
export interface HashLevel {
  add(block: Buffer): void;
  /** Adds blocks by their digests, HASH_SIZE bytes each. */
  addDigests(digests: Buffer): void;
  /** Replaces the digest of the first block, which is known last. */
  setFirst(block: Buffer): void;
  /** Builds the levels above, and the root hash over all. Throws RangeError where no block was added. */
  finish(): HashTree;
}

export interface HashTree {
  /** Hex digest of the top block: what is signed. */
  root: string;
  /** The stored tree, from the top block down to the digests of the data blocks, but for the leaves taken before. */
  chunks: Buffer[];
}

/** dm-verity's hash of a block: format 1, SHA-256, empty salt. A latin1 string of 32 bytes: the fastest form here. */
export function hashBlock(block: Buffer): string {
  return hash("sha256", block, "binary");
}

/**
 * Collects the digests of blocks in large pieces. Without `take` a level costs 32 bytes for each block; with it, and
 * whatever the number of blocks, a piece or two and the levels above, which are a hundredth of it.
 */
export function createHashLevel(take?: TakeLeaves): HashLevel {
  const pieces: Buffer[] = [];
  let above: HashLevel | undefined;
  let piece = Buffer.alloc(HASHES_PER_CHUNK * HASH_SIZE);
  let taken = 0;
  let used = 0;

  /** Hands a piece on: its blocks are hashed into the level above, now that nothing but its first digest can change. */
  function close(bytes: Buffer): void {
    above ??= createHashLevel();
    for (let at = 0; at < bytes.length; at += BLOCK_SIZE) above.add(bytes.subarray(at, at + BLOCK_SIZE));
    if (take === undefined || pieces.length === 0) pieces.push(bytes);
    else take(bytes, taken);
    taken += bytes.length;
    if (pieces.at(-1) === bytes) piece = Buffer.alloc(HASHES_PER_CHUNK * HASH_SIZE);
    else piece.fill(0);
    used = 0;
  }

  return {
    add(block) {
      if (used === piece.length) close(piece);
      piece.write(hashBlock(block), used, HASH_SIZE, "latin1");
      used += HASH_SIZE;
    },
    addDigests(digests) {
      for (let at = 0; at < digests.length; ) {
        if (used === piece.length) close(piece);
        const size = digests.copy(piece, used, at);
        used += size;
        at += size;
      }
    },
    setFirst(block) {
      const first = pieces[0] ?? piece;
      first.write(hashBlock(block), 0, HASH_SIZE, "latin1");
      if (pieces.length > 0) above?.setFirst(first.subarray(0, BLOCK_SIZE));
    },
    finish() {
      if (used === 0) throw new RangeError("expected a hash tree over at least one block, got none");
      const last = piece.subarray(0, Math.ceil(used / BLOCK_SIZE) * BLOCK_SIZE);
      if (taken === 0 && last.length === BLOCK_SIZE) return { root: hash("sha256", last, "hex"), chunks: [last] };
      close(last);
      const upper = above?.finish() ?? { root: "", chunks: [] };
      return { root: upper.root, chunks: [...upper.chunks, ...pieces] };
    },
  };
}

/** Blocks of each level of the tree over `blocks` data blocks, from the top (always 1) down to the leaves. */
export function hashLevelSizes(blocks: number): number[] {
  const size = Math.ceil(blocks / HASHES_PER_BLOCK);
  return size <= 1 ? [1] : [...hashLevelSizes(size), size];
}
