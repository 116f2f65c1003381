import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createHashLevel, hashLevelSizes } from "../../../../images/erofs/hashtree.ts";

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest();

/** The tree by the definition: each level is the digests of the blocks below, padded to whole blocks. */
function naiveTree(blocks: Buffer[]): { root: string; tree: Buffer } {
  const digests = Buffer.concat(blocks.map(sha256));
  const level = Buffer.concat([digests, Buffer.alloc((4096 - (digests.length % 4096)) % 4096)]);
  if (level.length === 4096) return { root: sha256(level).toString("hex"), tree: level };
  const above = naiveTree(
    Array.from({ length: level.length / 4096 }, (_, n) => level.subarray(n * 4096, (n + 1) * 4096)),
  );
  return { root: above.root, tree: Buffer.concat([above.tree, level]) };
}

describe("createHashLevel", () => {
  it.each([1, 2, 127, 128, 129, 300, 16_384, 16_385, 33_000])(
    "over %i blocks is the tree of the definition",
    (count) => {
      const blocks = Array.from({ length: count }, (_, n) => {
        const block = Buffer.alloc(4096);
        block.writeUInt32LE(n, 0);
        return block;
      });
      const level = createHashLevel();
      for (const block of blocks) level.add(block);
      const { root, chunks } = level.finish();
      const expected = naiveTree(blocks);
      const tree = Buffer.concat(chunks);
      expect(root).toBe(expected.root);
      expect(tree.equals(expected.tree)).toBe(true);
      expect(tree.length).toBe(hashLevelSizes(count).reduce((sum, size) => sum + size) * 4096);
    },
  );

  it.each([1, 100, 32_769, 70_000])("of %i blocks is the same from their digests, however these come", (count) => {
    const [fromBlocks, fromDigests] = [createHashLevel(), createHashLevel()];
    const digests = Buffer.alloc(count * 32);
    for (let n = 0; n < count; n++) {
      const block = Buffer.from(`${n}`);
      fromBlocks.add(block);
      sha256(block).copy(digests, n * 32);
    }
    for (let at = 0; at < digests.length; at += 999 * 32) fromDigests.addDigests(digests.subarray(at, at + 999 * 32));
    expect(fromDigests.finish()).toEqual(fromBlocks.finish());
  });

  it("takes a block that is known last", () => {
    const early = createHashLevel();
    const late = createHashLevel();
    const first = Buffer.alloc(4096, 1);
    for (const block of [first, Buffer.alloc(4096, 2)]) early.add(block);
    for (const block of [Buffer.alloc(4096), Buffer.alloc(4096, 2)]) late.add(block);
    late.setFirst(first);
    expect(late.finish().root).toBe(early.finish().root);
  });

  it.each([32_768, 32_769, 70_000])("over %i blocks hands its leaves out and is the same tree", (count) => {
    const taken: { bytes: Buffer; position: number }[] = [];
    const kept = createHashLevel();
    const spilled = createHashLevel((bytes, position) => void taken.push({ bytes: Buffer.from(bytes), position }));
    for (const level of [kept, spilled]) {
      for (let n = 0; n < count; n++) level.add(Buffer.from(`${n}`));
      level.setFirst(Buffer.from("known last"));
    }
    const whole = kept.finish();
    const rest = spilled.finish();
    const tree = Buffer.alloc(Buffer.concat(whole.chunks).length);
    Buffer.concat(rest.chunks).copy(tree);
    const upper = hashLevelSizes(count).slice(0, -1).length * 4096 + (hashLevelSizes(count).at(-2) ?? 0) * 4096 - 4096;
    for (const { bytes, position } of taken) bytes.copy(tree, upper + position);
    expect(rest.root).toBe(whole.root);
    expect(tree.equals(Buffer.concat(whole.chunks))).toBe(true);
  });

  it("needs at least one block", () => {
    expect(() => createHashLevel().finish()).toThrow(RangeError);
  });
});
