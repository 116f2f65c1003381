import { describe, expect, it } from "vitest";
import { PROGRAMS } from "../../../../hostd/system/programs.ts";
import { hashBlock } from "../../../../images/erofs/hashtree.ts";
import { createRing, hasherOf, startHasher } from "../../../../images/layer/hasher.ts";

const BLOCK = 4096;

/** Pieces of 1 to 256 blocks, none of them like another. */
const pieces = Array.from({ length: 24 }, (_, piece) => {
  const bytes = Buffer.alloc((((piece * 97) % 256) + 1) * BLOCK);
  for (let at = 0; at < bytes.length; at += BLOCK) bytes.writeUInt32LE(piece * 1000 + at / BLOCK, at);
  return bytes;
});

describe("hasher", () => {
  it("answers the digest of each block in its order, whoever is behind", () => {
    const hasher = startHasher(PROGRAMS.hashBlocks);
    if (hasher === undefined) return; // no second processor
    const answered: Buffer[] = [];
    for (const bytes of pieces) {
      const copy = Buffer.from(bytes);
      answered.push(...hasher.push(copy));
      copy.fill(0); // the caller's again
    }
    answered.push(...hasher.finish());
    expect(Buffer.concat(answered).toString("latin1")).toBe(pieces.map(digestsOf).join(""));
    expect(hasher.finish()).toEqual([]);
  });

  it("ends with an error where the other thread stands still", () => {
    const hasher = hasherOf(createRing(), 20);
    const fill = () => pieces.forEach((bytes) => void hasher.push(bytes));
    expect(fill).toThrow("expected blocks to be hashed within 0.02 s, got nothing");
  });
});

function digestsOf(bytes: Buffer): string {
  const starts = Array.from({ length: bytes.length / BLOCK }, (_, block) => block * BLOCK);
  return starts.map((at) => hashBlock(bytes.subarray(at, at + BLOCK))).join("");
}
