import * as fc from "fast-check";
import { expect, test } from "vitest";
import { TarError } from "../../../../images/tar/error.ts";
import { checkLink, normalPath } from "../../../../images/tar/path.ts";

test.each([
  [".", ""],
  ["./", ""],
  ["./a", "a"],
  ["a/", "a"],
  ["a/./b//c", "a/b/c"],
  ["...", "..."],
  ["..a/b..", "..a/b.."],
])("normalPath turns %j into %j", (raw, path) => {
  expect(normalPath(raw)).toBe(path);
});

test.each(["..", "../a", "a/..", "a/../b", "/a", "/", "", "a\0b", `${"x".repeat(256)}/y`, "a/".repeat(2049)])(
  "normalPath refuses %j",
  (raw) => {
    expect(() => normalPath(raw)).toThrow(TarError);
  },
);

test("normalPath gives a path that stays as it is and cannot leave its root", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("a", ".", "..", "", "b"), { maxLength: 6 }), (names) => {
      try {
        const path = normalPath(names.join("/"));
        expect(path.split("/")).not.toContain("..");
        if (path !== "") expect(normalPath(path)).toBe(path);
      } catch (error) {
        expect(error).toBeInstanceOf(TarError);
      }
    }),
  );
});

test("checkLink takes any target that Linux takes", () => {
  expect(checkLink("/../..//x", "a")).toBe("/../..//x");
  expect(() => checkLink("", "a")).toThrow("expected a link target of 1 to 4095 bytes, got 0");
  expect(() => checkLink("x".repeat(4096), "a")).toThrow(TarError);
});
