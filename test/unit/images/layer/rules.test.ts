import { describe, expect, test } from "vitest";
import type { Entry } from "../../../../images/entry.ts";
import { createLayerRules } from "../../../../images/layer/rules.ts";
import { entryOf } from "../entries.ts";

const directory = (path: string) => entryOf({ path, type: "directory" });
const file = (path: string) => entryOf({ path });
const hardlink = (path: string, link: string) => entryOf({ path, type: "hardlink", link });

function check(entries: Entry[], repeated = false): void {
  const rules = createLayerRules({ repeated });
  for (const entry of entries) rules.check(entry);
}

describe("createLayerRules", () => {
  test("takes a tree whose parents come first", () => {
    check([directory(""), directory("a"), file("a/b"), hardlink("c", "a/b")]);
  });

  test.each<[string, Entry[], string]>([
    ["a missing root", [file("a")], "layer entry a: expected an entry of its parent directory before it"],
    ["a missing parent", [directory(""), file("a/b")], "expected an entry of its parent directory before it"],
    ["a parent that comes later", [directory(""), file("a/b"), directory("a")], "expected an entry of its parent"],
    ["a parent that is a file", [directory(""), file("a"), file("a/b")], "expected its parent to be a directory"],
    ["a path that comes twice", [directory(""), file("a"), file("a")], "expected one entry of this path, got another"],
    ["a hard link to nothing", [directory(""), hardlink("a", "b")], "expected a hard link to an earlier entry"],
    ["a hard link to itself", [directory(""), hardlink("a", "a")], "expected a hard link to an earlier entry"],
    ["a hard link to a directory", [directory(""), directory("d"), hardlink("a", "d")], "that is not a directory"],
    ["a name of two dots", [directory(""), file("..")], "expected a name at the end of its path"],
    ["a path with a slash at its end", [directory(""), directory("a"), file("a/")], "expected a name at the end"],
    ["a root that is a file", [file("")], "expected a name at the end of its path"],
  ])("refuses %s", (_, entries, message) => {
    expect(() => check(entries)).toThrow(message);
  });

  test("takes a repeated path of the same kind where that is allowed, and no other", () => {
    check([directory(""), directory(""), file("a"), file("a")], true);
    expect(() => check([directory(""), file("a"), directory("a")], true)).toThrow("expected one entry of this path");
  });
});
