import { describe, expect, test } from "vitest";
import type { Entry } from "../../../../images/entry.ts";
import { LayerError } from "../../../../images/layer/error.ts";
import { createExtraction } from "../../../../images/layer/extraction.ts";
import { entryOf, readTarLoosely } from "../entries.ts";

const directory = (path: string, mode = 0o700) => entryOf({ path, type: "directory", mode });
const file = (path: string) => entryOf({ path });
const root = directory("");

/** What GNU tar would be given, as lines: type, path, mark. */
function extracted(entries: Entry[], missingParents: "refuse" | "create" = "refuse"): string[] {
  const extraction = createExtraction(missingParents);
  for (const entry of entries) {
    extraction.entry(entry);
    if (entry.size > 0) extraction.data(Buffer.alloc(entry.size));
  }
  extraction.finish();
  return readTarLoosely(Buffer.concat(extraction.taken()));
}

describe("createExtraction", () => {
  test("says whiteouts and opaque directories in overlayfs's words, at the end", () => {
    const entries = [root, directory("d"), file("d/.wh..wh..opq"), file("d/f"), file(".wh.gone")];
    expect(extracted(entries)).toEqual(["5 ./", "5 d/", "0 d/f", "5 d/ opaque", "3 gone"]);
  });

  test("takes an opaque marker before its directory", () => {
    expect(extracted([root, file("d/.wh..wh..opq"), directory("d")])).toEqual(["5 ./", "5 d/", "5 d/ opaque"]);
  });

  test("takes a whiteout of a directory of the same layer for an opaque one, wherever it stands", () => {
    expect(extracted([root, directory("d"), file(".wh.d")])).toEqual(["5 ./", "5 d/", "5 d/ opaque"]);
    expect(extracted([root, file(".wh.d"), directory("d")])).toEqual(["5 ./", "5 d/", "5 d/ opaque"]);
  });

  test("never lets a whiteout take away a file of its own layer", () => {
    expect(extracted([root, file("f"), file(".wh.f")])).toEqual(["5 ./", "0 f"]);
  });

  test("leaves out whiteouts in an opaque directory, where they would be seen", () => {
    expect(extracted([root, directory("d"), file("d/.wh..wh..opq"), file("d/.wh.x")])).toEqual([
      "5 ./",
      "5 d/",
      "5 d/ opaque",
    ]);
  });

  test("leaves out the content of a marker", () => {
    expect(extracted([root, entryOf({ path: ".wh.x", size: 3 }), file("f")])).toEqual(["5 ./", "0 f", "3 x"]);
  });

  test("makes a root that the layer leaves out", () => {
    expect(extracted([file("f")])).toEqual(["5 ./", "0 f"]);
  });

  test("makes other missing parents only when told to", () => {
    expect(() => extracted([file("a/b/f")])).toThrow(LayerError);
    expect(extracted([file("a/b/f")], "create")).toEqual(["5 ./", "5 a/", "5 a/b/", "0 a/b/f"]);
  });

  test.each<[string, Entry[]]>([
    ["a file below a symlink", [root, entryOf({ path: "l", type: "symlink", link: "/etc" }), file("l/passwd")]],
    ["a file in place of a directory", [root, directory("d"), file("d")]],
    ["a whiteout in a directory that is not there", [root, file("d/.wh.x")]],
    ["an opaque marker in a file", [root, file("d"), file("d/.wh..wh..opq")]],
  ])("refuses %s", (_, entries) => {
    expect(() => extracted(entries)).toThrow(LayerError);
  });
});
