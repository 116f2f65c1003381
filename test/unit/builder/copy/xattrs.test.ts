import { expect, test } from "vitest";
import { dumpOf } from "../../../../builder/copy/xattrs.ts";

test("dumpOf writes what setfattr restores: octal for what would break a line, hex for values", () => {
  const xattrs = new Map([["security.capability", Buffer.from([0, 0x80, 0xff])]]);
  expect(dumpOf({ path: "a\\b\nc=d", xattrs })).toBe("# file: a\\134b\\012c\\075d\nsecurity.capability=0x0080ff\n");
  expect(dumpOf({ path: "", xattrs: new Map() })).toBe("# file: .\n");
});
