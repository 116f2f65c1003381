import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readElf } from "../../../../builder/closure/elf.ts";
import { BuildError } from "../../../../builder/error.ts";
import { type ElfFacts, makeElf } from "./make-elf.ts";

const readable = (bytes: Buffer) => ({
  size: bytes.length,
  read: (offset: number, length: number) => bytes.subarray(offset, offset + length),
});

describe("readElf", () => {
  test.each<[string, ElfFacts]>([
    ["64 bit, little-endian", { wide: true, little: true }],
    ["64 bit, big-endian", { wide: true, little: false }],
    ["32 bit, little-endian", { wide: false, little: true }],
    ["32 bit, big-endian", { wide: false, little: false }],
  ])("reads a %s file", (_, shape) => {
    const facts = {
      ...shape,
      interpreter: "/lib/ld.so",
      needed: ["libc.so.6", "libm.so.6"],
      runpath: "$ORIGIN/../lib:/opt",
      rpath: "/a",
    };
    expect(readElf(readable(makeElf(facts)))).toEqual({
      kind: `${shape.wide ? 2 : 1}:${shape.little ? 1 : 2}:62`,
      machine: 62,
      interpreter: "/lib/ld.so",
      needed: ["libc.so.6", "libm.so.6"],
      rpath: ["/a"],
      runpath: ["$ORIGIN/../lib", "/opt"],
    });
  });

  test("a static program needs nothing; another kind of file is no ELF file", () => {
    expect(readElf(readable(makeElf({ wide: true, little: true })))).toMatchObject({
      interpreter: undefined,
      needed: [],
    });
    for (const text of ["", "#!/bin/sh\n", "\x7fELF", "\x7fELG".padEnd(100, "x")]) {
      expect(readElf(readable(Buffer.from(text, "latin1")))).toBeUndefined();
    }
  });

  test("whatever bytes are changed, it answers or refuses with BuildError, soon and without reading outside the file", () => {
    const good = makeElf({ wide: true, little: true, interpreter: "/lib/ld.so", needed: ["libc.so.6"], runpath: "/x" });
    const changes = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 12 });
    fc.assert(
      fc.property(changes, fc.nat(good.length), (list, length) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of list) bytes[at] = value;
        const cut = bytes.subarray(0, Math.max(16, length));
        try {
          const elf = readElf({
            size: cut.length,
            read(offset, wanted) {
              expect(offset).toBeGreaterThanOrEqual(0);
              expect(wanted).toBeLessThanOrEqual(4096);
              return cut.subarray(offset, offset + wanted);
            },
          });
          for (const name of elf?.needed ?? []) expect(name.length).toBeLessThan(4096);
        } catch (error) {
          expect(error).toBeInstanceOf(BuildError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
