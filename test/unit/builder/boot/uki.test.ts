import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { composeUki, type UkiInput } from "../../../../builder/boot/uki.ts";
import { BuildError } from "../../../../builder/error.ts";
import { makeStub, readSections } from "./stub.ts";

const INPUT: UkiInput = {
  stub: makeStub(),
  osRelease: "ID=debian\n",
  commandLine: "ostler.root=00 panic=1",
  linux: Buffer.alloc(5000, "k"),
  initrd: Buffer.alloc(513, "i"),
};

function fileOf(input: UkiInput): Buffer {
  const { head, linux, initrd } = composeUki(input);
  return Buffer.concat([head, linux, initrd]);
}

describe("composeUki", () => {
  test("adds what is started as sections behind the stub's own, at pages of their own", () => {
    const sections = readSections(fileOf(INPUT));
    expect(sections.map(({ name }) => name)).toEqual([".text", ".osrel", ".cmdline", ".linux", ".initrd"]);
    const [text, osRelease, commandLine, linux, initrd] = sections.map(({ content }) => content);
    expect(text).toEqual(Buffer.alloc(0x300, 0xc3));
    expect(String(osRelease)).toBe(INPUT.osRelease);
    expect(String(commandLine)).toBe(INPUT.commandLine);
    expect(linux).toEqual(INPUT.linux);
    expect(initrd).toEqual(INPUT.initrd);
    expect(sections.slice(1).map(({ address }) => address)).toEqual([0x2000, 0x3000, 0x4000, 0x6000]);
  });

  test("says how large the image is in memory, and leaves the stub's symbols out", () => {
    const file = fileOf(INPUT);
    expect(file.readUInt32LE(0x98 + 56)).toBe(0x6000 + 1024);
    expect([file.readUInt32LE(0x8c), file.readUInt32LE(0x90)]).toEqual([0, 0]);
    expect(file.includes(Buffer.alloc(512, 0x55))).toBe(false);
  });

  test("gives the same bytes for the same input, and leaves the input as it was", () => {
    expect(fileOf(INPUT).equals(fileOf(INPUT))).toBe(true);
    expect(INPUT.stub.equals(makeStub())).toBe(true);
  });

  test("another command line changes the head, and no other part", () => {
    const [one, other] = [composeUki(INPUT), composeUki({ ...INPUT, commandLine: "ostler.root=11 panic=1 quiet" })];
    expect(one.head.equals(other.head)).toBe(false);
    expect(one.linux.equals(other.linux)).toBe(true);
    expect(one.initrd.equals(other.initrd)).toBe(true);
  });

  test.each([
    ["other bytes", Buffer.alloc(8192, "x")],
    ["an empty file", Buffer.alloc(0)],
    ["a program that is cut short", makeStub().subarray(0, 4095)],
  ])("refuses %s as a stub", (_, stub) => {
    expect(() => composeUki({ ...INPUT, stub })).toThrow(BuildError);
  });

  test("refuses whatever is no stub with a BuildError, and nothing else", () => {
    const damage = fc.array(fc.tuple(fc.nat(1023), fc.nat(255)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(damage, (changes) => {
        const stub = makeStub();
        for (const [at, byte] of changes) stub[at] = byte;
        try {
          composeUki({ ...INPUT, stub });
        } catch (error) {
          expect(error).toBeInstanceOf(BuildError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
