import { describe, expect, it } from "vitest";
import { directoryNames, directorySize, encodeDirectory } from "../../../../images/erofs/directory.ts";

const FILE = 0o100644;

describe("directoryNames", () => {
  it("sorts as unsigned bytes and puts . and .. among the others", () => {
    expect(directoryNames(["a", "\xff", "-x", "!x", "10", "9", "B", "..a"])).toEqual([
      "!x",
      "-x",
      ".",
      "..",
      "..a",
      "10",
      "9",
      "B",
      "a",
      "\xff",
    ]);
  });
});

describe("encodeDirectory", () => {
  it("writes entries, then names without separators", () => {
    const bytes = encodeDirectory([
      { name: ".", nid: 2, mode: 0o040755 },
      { name: "..", nid: 2, mode: 0o040755 },
      { name: "ab", nid: 0x0102_0304, mode: 0o120777 },
    ]);
    expect(bytes.toString("hex")).toBe(
      `${"0200000000000000"}${"2400"}${"02"}${"00"}${"0200000000000000"}${"2500"}${"02"}${"00"}` +
        `${"0403020100000000"}${"2700"}${"07"}${"00"}${Buffer.from("...ab").toString("hex")}`,
    );
  });

  it.each([
    [0o100644, 1],
    [0o040755, 2],
    [0o020600, 3],
    [0o060600, 4],
    [0o010600, 5],
    [0o120777, 7],
  ])("gives mode %i the type %i", (mode, type) => {
    expect(encodeDirectory([{ name: "x", nid: 1, mode }]).readUInt8(10)).toBe(type);
  });

  it("starts a new block where an entry and its name do not fit, and zeroes what is left", () => {
    const names = Array.from({ length: 20 }, (_, index) => `${String(index).padStart(2, "0")}${"n".repeat(253)}`);
    const bytes = encodeDirectory(names.map((name, nid) => ({ name, nid, mode: FILE })));
    expect(bytes.length).toBe(directorySize(names));
    expect(bytes.length).toBe(4096 + 5 * 267);
    expect(bytes.readUInt16LE(8) / 12).toBe(15);
    expect(bytes.readUInt16LE(4096 + 8) / 12).toBe(5);
    expect(bytes.subarray(15 * 267, 4096).equals(Buffer.alloc(4096 - 15 * 267))).toBe(true);
  });

  it("fills a block to its last byte", () => {
    const names = Array.from({ length: 16 }, (_, index) => `${String(index).padStart(2, "0")}${"n".repeat(242)}`);
    expect(directorySize(names)).toBe(4096);
    expect(encodeDirectory(names.map((name, nid) => ({ name, nid, mode: FILE }))).length).toBe(4096);
  });
});
