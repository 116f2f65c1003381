import { hash } from "node:crypto";
import { BLOCK_SIZE } from "./limits.ts";

/** Bytes of a SHA-256 digest, and of one entry of a hash block. */
export const HASH_SIZE = 32;

const HASHES_PER_BLOCK = BLOCK_SIZE / HASH_SIZE;
const HASHES_PER_CHUNK = 32_768;

/** One level of a dm-verity tree while it grows: one digest for each block below. */
export interface HashLevel {
  add(block: Buffer): void;
  /** Replaces the digest of a block that was added before. */
  set(index: number, block: Buffer): void;
  /** The level as it is stored: hash blocks, the last one padded with zeros. */
  chunks(): Buffer[];
}

export interface HashTree {
  /** Hex digest of the top block: what is signed. */
  root: string;
  /** The stored tree, from the top block down to the digests of the data blocks. */
  chunks: Buffer[];
}

/** dm-verity's hash of a block: format 1, SHA-256, empty salt. A latin1 string of 32 bytes: the fastest form here. */
export function hashBlock(block: Buffer): string {
  return hash("sha256", block, "binary");
}

/** Collects the digests of blocks in large pieces, so that a level costs 32 bytes for each block and no more. */
export function createHashLevel(): HashLevel {
  const pieces: Buffer[] = [];
  let count = 0;
  return {
    add(block) {
      const slot = count % HASHES_PER_CHUNK;
      if (slot === 0) pieces.push(Buffer.alloc(HASHES_PER_CHUNK * HASH_SIZE));
      pieces.at(-1)?.write(hashBlock(block), slot * HASH_SIZE, HASH_SIZE, "latin1");
      count++;
    },
    set(index, block) {
      const slot = index % HASHES_PER_CHUNK;
      pieces[Math.floor(index / HASHES_PER_CHUNK)]?.write(hashBlock(block), slot * HASH_SIZE, HASH_SIZE, "latin1");
    },
    chunks() {
      const blocks = Math.ceil(count / HASHES_PER_BLOCK);
      return pieces.map((piece, index) => {
        const left = blocks * BLOCK_SIZE - index * HASHES_PER_CHUNK * HASH_SIZE;
        return piece.subarray(0, Math.min(piece.length, left));
      });
    },
  };
}

/** Builds the levels above the digests of the data blocks, and the root hash over all. */
export function buildHashTree(leaves: HashLevel): HashTree {
  const level = leaves.chunks();
  const top = level[0];
  if (top === undefined) throw new RangeError("expected a hash tree over at least one block, got none");
  if (level.length === 1 && top.length === BLOCK_SIZE) return { root: hash("sha256", top, "hex"), chunks: level };
  const above = createHashLevel();
  for (const chunk of level) {
    for (let at = 0; at < chunk.length; at += BLOCK_SIZE) above.add(chunk.subarray(at, at + BLOCK_SIZE));
  }
  const upper = buildHashTree(above);
  return { root: upper.root, chunks: [...upper.chunks, ...level] };
}

/** Blocks of each level of the tree over `blocks` data blocks, from the top (always 1) down to the leaves. */
export function hashLevelSizes(blocks: number): number[] {
  const size = Math.ceil(blocks / HASHES_PER_BLOCK);
  return size <= 1 ? [1] : [...hashLevelSizes(size), size];
}
