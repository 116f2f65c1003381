import { describe, expect, test } from "vitest";
import type { SourceEntry } from "../../../../images/entry.ts";
import { LayerError } from "../../../../images/layer/error.ts";
import { createMarkerEncoder, readMarker } from "../../../../images/layer/markers.ts";
import { entryOf } from "../entries.ts";

const whiteout = (path: string) => entryOf({ path, type: "character", mode: 0, mtime: { seconds: 5, nanoseconds: 5 } });
const opaque = (path: string, more: [string, Buffer][] = []) =>
  entryOf({ path, type: "directory", xattrs: new Map([["trusted.overlay.opaque", Buffer.from("y")], ...more]) });

function encoded(...entries: SourceEntry[]): SourceEntry[] {
  return entries.flatMap(createMarkerEncoder());
}

describe("createMarkerEncoder", () => {
  test("turns a whiteout into an empty file that has always the same attributes", () => {
    expect(encoded(whiteout("a/b"))).toEqual([entryOf({ path: "a/.wh.b" })]);
    expect(encoded(whiteout("b"))).toEqual([entryOf({ path: ".wh.b" })]);
  });

  test("turns an opaque directory into the directory and a marker, and keeps its other attributes", () => {
    const more: [string, Buffer][] = [["user.x", Buffer.from([255])]];
    expect(encoded(opaque("d", more))).toEqual([
      entryOf({ path: "d", type: "directory", xattrs: new Map(more) }),
      entryOf({ path: "d/.wh..wh..opq" }),
    ]);
  });

  test("drops whiteouts of an opaque directory, which hides all that they could", () => {
    expect(encoded(opaque("d"), whiteout("d/x"), whiteout("dx"))).toHaveLength(3);
  });

  test("leaves a device that is not 0:0 alone", () => {
    const device = entryOf({ path: "null", type: "character", device: { major: 1, minor: 3 } });
    expect(encoded(device)).toEqual([device]);
  });

  test.each<[string, SourceEntry]>([
    ["a name that begins with .wh.", entryOf({ path: "a/.wh.b" })],
    ["another attribute of overlayfs", entryOf({ xattrs: new Map([["trusted.overlay.redirect", Buffer.from("/x")]]) })],
    ["an opaque file", entryOf({ xattrs: new Map([["trusted.overlay.opaque", Buffer.from("y")]]) })],
  ])("refuses %s", (_, entry) => {
    expect(() => encoded(entry)).toThrow(LayerError);
  });
});

describe("readMarker", () => {
  test.each([
    ["a/.wh.b", { gone: "a/b" }],
    [".wh.b", { gone: "b" }],
    [".wh.b.wh.", { gone: "b.wh." }],
    [".wh..wh..opq", { opaque: "" }],
    ["a/.wh..wh..opq", { opaque: "a" }],
    ["a/b", undefined],
    [".wh/b", undefined],
  ])("reads %s", (path, marker) => {
    expect(readMarker(path)).toEqual(marker);
  });

  test.each([".wh.", "a/.wh.", ".wh..", ".wh...", ".wh..wh.plnk"])("refuses %s, which names nothing", (path) => {
    expect(() => readMarker(path)).toThrow(LayerError);
  });
});
