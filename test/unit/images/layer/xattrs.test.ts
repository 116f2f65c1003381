import { describe, expect, test } from "vitest";
import { createDumpReader } from "../../../../images/layer/xattrs.ts";

const dump = [
  "# file: .",
  "trusted.overlay.opaque=0x79",
  "",
  "# file: a\\012b\\134 c=\xff",
  "user.a\\075b=0x",
  "user.x=0x00ff80",
  "",
  "",
].join("\n");

describe("createDumpReader", () => {
  test.each([1, 5, 1000])("reads paths, names and values that come in pieces of %i characters", (size) => {
    const reader = createDumpReader();
    for (let start = 0; start < dump.length; start += size) reader.push(dump.slice(start, start + size));
    expect(reader.xattrs).toEqual(
      new Map([
        ["", new Map([["trusted.overlay.opaque", Buffer.from("y")]])],
        [
          "a\nb\\ c=\xff",
          new Map([
            ["user.a=b", Buffer.alloc(0)],
            ["user.x", Buffer.from([0, 255, 128])],
          ]),
        ],
      ]),
    );
  });
});
