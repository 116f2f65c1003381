import { describe, expect, it } from "vitest";
import { LAYER_LIMITS } from "../../../../images/erofs/limits.ts";
import { offsetOf, placeInodes, spanOf } from "../../../../images/erofs/place.ts";
import { createLayerTree } from "../../../../images/erofs/tree.ts";
import { entryOf, type TestEntry, writeImage } from "../../../erofs-image.ts";
import { readErofs } from "../../../erofs-reader.ts";

function place(entries: TestEntry[]) {
  const tree = createLayerTree();
  for (const entry of entries) {
    const inode = tree.add(entryOf(entry));
    if (inode !== undefined && entry.bytes !== undefined)
      inode.content = { kind: "small", size: entry.bytes.length, place: 0 };
  }
  const { inodes, blocks } = placeInodes(tree.root);
  return { inodes: inodes.map((inode) => ({ ...spanOf(inode), offset: offsetOf(inode), inode })), blocks };
}

describe("placeInodes", () => {
  it("puts the root at slot 2, then each directory's children together, depth first", () => {
    const names = ["b", "a", "b/y", "b/x", "a/z"];
    const placed = place(names.map((path) => ({ path, type: "directory" })));
    expect(placed.inodes[0]?.inode.nid).toBe(2);
    expect(placed.inodes.map(({ names }) => names.slice(2))).toEqual([["a", "b"], ["z"], ["x", "y"], [], [], []]);
  });

  it("never lets an inode with its xattrs and tail cross a block, and never lets two meet", () => {
    const entries = Array.from({ length: 2000 }, (_, n) => ({ path: `f${n}`, bytes: Buffer.alloc((n * 37) % 2049) }));
    const { inodes, blocks } = place(entries);
    const spans = inodes
      .map(({ offset, inline, xattrs }) => ({ start: offset, end: offset + 64 + xattrs.length + inline }))
      .sort((a, b) => a.start - b.start);
    spans.forEach(({ start, end }, index) => {
      expect(start % 32).toBe(0);
      expect(Math.floor(start / 4096)).toBe(Math.floor((end - 1) / 4096));
      expect(start).toBeGreaterThanOrEqual(spans[index - 1]?.end ?? 0);
    });
    expect(spans.at(-1)?.end).toBeLessThanOrEqual(blocks * 4096);
  });

  it("packs inodes with tails tighter than one after the other", () => {
    const entries = Array.from({ length: 1000 }, (_, n) => ({ path: `f${n}`, bytes: Buffer.alloc((n * 997) % 2049) }));
    const { inodes, blocks } = place(entries);
    const used = inodes.reduce((sum, { inline }) => sum + Math.ceil((64 + inline) / 32) * 32, 0);
    expect(blocks * 4096).toBeLessThan(used * 1.03);
  });

  it("gives xattrs above a block a run of blocks of their own and no tail, and fills its end", () => {
    const xattrs = new Map([["user.big", Buffer.alloc(9000)]]);
    const { inodes } = place([{ path: "d", type: "directory", xattrs }, { path: "f" }]);
    expect(inodes[1]).toMatchObject({ offset: 4096, inline: 0 });
    expect(inodes[2]?.offset).toBe(Math.ceil((4096 + 64 + 12 + 9008) / 32) * 32);
  });
});

describe("small files", () => {
  it.each([
    [2048, "inline"],
    [2049, "plain"],
    [4096, "plain"],
    [4097, "plain"],
    [0, "plain"],
  ])("a file of %i bytes is %s", (size, layout) => {
    const { image } = writeImage([{ path: "f", bytes: Buffer.alloc(size, 7) }]);
    const file = readErofs(image).paths.get("f");
    expect(file?.layout).toBe(layout);
    expect(file?.content.equals(Buffer.alloc(size, 7))).toBe(true);
  });

  it("stand in blocks once the memory for them is spent", () => {
    const count = LAYER_LIMITS.inlineBytes / 2048;
    const bytes = Buffer.alloc(2048, 1);
    const { image } = writeImage(Array.from({ length: count + 2 }, (_, n) => ({ path: `f${n}`, bytes })));
    const { paths } = readErofs(image);
    expect([paths.get(`f${count - 1}`)?.layout, paths.get(`f${count}`)?.layout]).toEqual(["inline", "plain"]);
    expect(paths.get(`f${count + 1}`)?.content.equals(bytes)).toBe(true);
  });
});
