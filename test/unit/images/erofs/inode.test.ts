import { describe, expect, it } from "vitest";
import { encodeDevice, type Inode, inlineBytes, MODE_TYPES, writeInode } from "../../../../images/erofs/inode.ts";

const inode: Inode = {
  mode: MODE_TYPES.file | 0o4755,
  uid: 3_000_000_000,
  gid: 7,
  seconds: -2,
  nanoseconds: 999_999_999,
  nlink: 3,
  xattrs: undefined,
  content: { kind: "blocks", size: 0, start: 0 },
  nid: 0,
};

function written(layout: Partial<Parameters<typeof writeInode>[3]>): Buffer {
  const target = Buffer.alloc(64);
  writeInode(target, 0, inode, { size: 0, inline: 0, start: 0, xattrs: Buffer.alloc(0), ...layout }, 9);
  return target;
}

describe("writeInode", () => {
  it("writes the extended form with every field in its place", () => {
    const bytes = written({ size: 0x1_0000_0005, start: 77 });
    expect({
      format: bytes.readUInt16LE(0),
      xattrUnits: bytes.readUInt16LE(2),
      mode: bytes.readUInt16LE(4),
      reserved: bytes.readUInt16LE(6),
      size: bytes.readBigUInt64LE(8),
      start: bytes.readUInt32LE(16),
      serial: bytes.readUInt32LE(20),
      uid: bytes.readUInt32LE(24),
      gid: bytes.readUInt32LE(28),
      seconds: bytes.readBigInt64LE(32),
      nanoseconds: bytes.readUInt32LE(40),
      nlink: bytes.readUInt32LE(44),
      end: bytes.subarray(48).equals(Buffer.alloc(16)),
    }).toEqual({
      format: 1,
      xattrUnits: 0,
      mode: 0o104755,
      reserved: 0,
      size: 0x1_0000_0005n,
      start: 77,
      serial: 9,
      uid: 3_000_000_000,
      gid: 7,
      seconds: -2n,
      nanoseconds: 999_999_999,
      nlink: 3,
      end: true,
    });
  });

  it("says inline only where bytes follow the inode", () => {
    expect(written({ size: 10, inline: 10 }).readUInt16LE(0)).toBe(1 | (2 << 1));
    expect(written({ size: 10, inline: 0, start: 4 }).readUInt16LE(0)).toBe(1);
  });

  it("counts xattrs in units of 4 bytes after their header", () => {
    expect(written({ xattrs: Buffer.alloc(12 + 8) }).readUInt16LE(2)).toBe(3);
  });
});

describe("encodeDevice", () => {
  it.each([
    [1, 3, 0x103],
    [8, 255, 0x8ff],
    [8, 256, 0x100800],
    [4095, 1048575, 0xffffffff],
  ])("encodes %i:%i", (major, minor, expected) => {
    expect(encodeDevice(major, minor)).toBe(expected);
  });
});

describe("inlineBytes", () => {
  it.each([
    { head: 64, size: 0, inline: 0, rule: "nothing for nothing" },
    { head: 64, size: 1, inline: 1, rule: "a byte" },
    { head: 64, size: 4032, inline: 4032, rule: "exactly what is left of the block" },
    { head: 64, size: 4033, inline: 0, rule: "nothing when one byte is too many" },
    { head: 64, size: 4096, inline: 0, rule: "nothing for a full block" },
    { head: 64, size: 8193, inline: 1, rule: "the part after full blocks" },
    { head: 5000, size: 10, inline: 0, rule: "nothing behind xattrs that fill the block" },
  ])("takes $rule", ({ head, size, inline }) => {
    expect(inlineBytes(head, size)).toBe(inline);
  });
});
