import { describe, expect, it } from "vitest";
import { encodeSuperblock } from "../../../../images/erofs/superblock.ts";

describe("encodeSuperblock", () => {
  const block = encodeSuperblock({ inodes: 5, blocks: 700_000, metadataBlock: 3 });
  const superblock = block.subarray(1024);

  it("fills one block, with nothing before offset 1024", () => {
    expect(block.length).toBe(4096);
    expect(block.subarray(0, 1024).equals(Buffer.alloc(1024))).toBe(true);
  });

  it("puts each field where the format has it and leaves the rest zero", () => {
    const expected = Buffer.alloc(3072);
    expected.writeUInt32LE(0xe0f5e1e2, 0);
    expected.writeUInt32LE(superblock.readUInt32LE(4), 4);
    expected.writeUInt32LE(3, 8);
    expected.writeUInt8(12, 12);
    expected.writeUInt16LE(2, 14);
    expected.writeUInt32LE(5, 16);
    expected.writeUInt32LE(700_000, 36);
    expected.writeUInt32LE(3, 40);
    expect(superblock).toEqual(expected);
  });

  it("claims no incompatible feature", () => {
    expect(superblock.readUInt32LE(80)).toBe(0);
  });
});
