import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Entry } from "../../../../images/entry.ts";
import { ErofsError } from "../../../../images/erofs/error.ts";
import { createErofsWriter } from "../../../../images/erofs/write.ts";
import { entryOf, messageOf, type TestEntry, writeImage } from "../../../erofs-image.ts";
import { type ReadInode, readErofs } from "../../../erofs-reader.ts";

const name = fc
  .oneof(
    fc.constantFrom("__proto__", "constructor", "toString", "0", "10", "9", "-1", "!x", "\xff\xfe", "..."),
    fc.uint8Array({ minLength: 1, maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    fc.integer({ min: 200, max: 255 }).map((length) => "n".repeat(length)),
  )
  .filter((text) => !/[/\0]/.test(text) && text !== "." && text !== ".." && !text.startsWith(".wh."));

const attributes = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.integer({ min: 0, max: 0xffffffff }),
  gid: fc.integer({ min: 0, max: 0xffffffff }),
  mtime: fc.record({
    seconds: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  }),
  xattrs: fc
    .dictionary(
      fc.constantFrom("user.a", "user.__proto__", "security.capability", "trusted.t", "system.posix_acl_access"),
      fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.integer({ min: 1, max: 9000 }).map((n) => new Uint8Array(n).fill(n)),
      ),
      { maxKeys: 3 },
    )
    .map((found) => new Map(Object.entries(found).map(([key, value]) => [key, Buffer.from(value)]))),
});

const size = fc.oneof(
  fc.constantFrom(0, 1, 2048, 2049, 4032, 4095, 4096, 4097, 8192),
  fc.integer({ min: 0, max: 20_000 }),
);

type Node = {
  kind: "directory" | "file" | "symlink" | "device" | "fifo" | "hardlink";
  under: number;
  name: string;
  size: number;
};

const node = fc.record({
  kind: fc.constantFrom<Node["kind"]>(
    "directory",
    "directory",
    "file",
    "file",
    "symlink",
    "device",
    "fifo",
    "hardlink",
  ),
  under: fc.nat(),
  name,
  size,
});

/** A random layer: each node goes below an earlier directory, no path comes twice. */
const layer = fc.array(fc.tuple(node, attributes), { maxLength: 60, size: "max" }).map((nodes) => {
  const directories = [""];
  const others: string[] = [];
  const entries = new Map<string, TestEntry>();
  for (const [{ kind, under, name, size }, attributes] of nodes) {
    const parent = directories[under % directories.length] ?? "";
    const path = parent === "" ? name : `${parent}/${name}`;
    if (path.length > 4095 || entries.has(path)) continue;
    const target = others[under % Math.max(1, others.length)];
    if (kind === "hardlink" && target === undefined) continue;
    entries.set(path, { path, ...attributes, ...shapeOf(kind, size, target ?? "") });
    if (kind === "directory") directories.push(path);
    else if (kind !== "hardlink") others.push(path);
  }
  return [...entries.values()];
});

function shapeOf(kind: Node["kind"], size: number, target: string): Partial<TestEntry> {
  switch (kind) {
    case "directory":
    case "fifo":
      return { type: kind };
    case "file":
      return { type: kind, bytes: Buffer.alloc(size, size % 251) };
    case "symlink":
      return { type: kind, link: "t".repeat(1 + (size % 4095)) };
    case "device":
      return { type: "block", device: { major: size % 4096, minor: size } };
    case "hardlink":
      return { type: kind, link: target };
  }
}

function expectedOf(entries: TestEntry[], path: string): unknown {
  const given = entries.find((entry) => entry.path === path);
  if (given === undefined) return { type: "directory", mode: 0o755 };
  if (given.type === "hardlink") return expectedOf(entries, given.link ?? "");
  const entry = entryOf(given);
  const content = entry.type === "symlink" ? Buffer.from(entry.link, "latin1") : (given.bytes ?? Buffer.alloc(0));
  return {
    type: entry.type,
    mode: entry.mode,
    owner: [entry.uid, entry.gid],
    mtime: [BigInt(entry.mtime.seconds), entry.mtime.nanoseconds],
    device: entry.device,
    xattrs: Object.fromEntries([...entry.xattrs].map(([key, value]) => [key, value.toString("hex")]).sort()),
    content: entry.type === "directory" ? "" : content.toString("hex"),
  };
}

function foundOf(inode: ReadInode, path: string, entries: TestEntry[]): unknown {
  const { type, mode } = inode;
  if (!entries.some((entry) => entry.path === path)) return { type, mode };
  const { uid, gid, seconds, nanoseconds, device, xattrs } = inode;
  const content = type === "directory" ? "" : inode.content.toString("hex");
  return { type, mode, owner: [uid, gid], mtime: [seconds, nanoseconds], device, xattrs, content };
}

describe("createErofsWriter", () => {
  it("any tree reads back as it was written", () => {
    fc.assert(
      fc.property(layer, (entries) => {
        const { paths, superblock } = readErofs(writeImage(entries).image);
        expect([...paths.keys()].sort()).toEqual(["", ...entries.map(({ path }) => path)].sort());
        for (const [path, inode] of paths) expect(foundOf(inode, path, entries)).toEqual(expectedOf(entries, path));
        for (const entry of entries.filter(({ type }) => type === "hardlink")) {
          expect(paths.get(entry.path)).toBe(paths.get(entry.link ?? ""));
        }
        expect(superblock).toMatchObject({ compat: 3, incompat: 0, rootNid: 2 });
      }),
      { numRuns: 150 },
    );
  });

  it("any sequence of entries gives an image that reads back whole, or is refused", () => {
    const part = fc.constantFrom("a", "b", ".wh.a", ".wh.b", ".wh..wh..opq", "..");
    const path = fc.array(part, { maxLength: 3 }).map((parts) => parts.join("/"));
    const type = fc.constantFrom<Entry["type"]>("directory", "directory", "file", "symlink", "hardlink", "fifo");
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(fc.record({ path, type, link: path }), { maxLength: 12 }), (entries) => {
        try {
          readErofs(writeImage(entries).image);
          accepted++;
        } catch (error) {
          expect(error).toBeInstanceOf(ErofsError);
        }
      }),
      { numRuns: 1000 },
    );
    expect(accepted).toBeGreaterThan(50);
  });

  it("the pieces in which content comes change nothing", () => {
    fc.assert(
      fc.property(layer, fc.integer({ min: 1, max: 5000 }), (entries, pieceSize) => {
        const whole = writeImage(entries);
        const pieces = writeImage(entries, pieceSize);
        expect(pieces.image.equals(whole.image)).toBe(true);
        expect(pieces.result.root).toBe(whole.result.root);
      }),
      { numRuns: 50 },
    );
  });

  it("without an output gives the same root and size", () => {
    const entries: TestEntry[] = [
      { path: "a", bytes: Buffer.alloc(3_000_000, 5) },
      { path: "b", bytes: Buffer.from("b") },
    ];
    const { result } = writeImage(entries);
    const dry = createErofsWriter(undefined);
    for (const entry of entries) {
      dry.entry(entryOf(entry));
      dry.data(entry.bytes ?? Buffer.alloc(0));
    }
    expect(dry.finish()).toEqual(result);
  });

  it("keeps this layout: a change of these bytes is a new format number", () => {
    const { result } = writeImage([
      { path: "", type: "directory", mode: 0o755, mtime: { seconds: 1_700_000_000, nanoseconds: 1 } },
      { path: "etc", type: "directory" },
      { path: "etc/passwd", bytes: Buffer.from("root:x:0:0::/:/bin/sh\n") },
      { path: "etc/.wh.shadow" },
      { path: "big", bytes: Buffer.alloc(10_000, "0123456789") },
      { path: "link", type: "symlink", link: "etc/passwd" },
      { path: "hard", type: "hardlink", link: "big" },
      { path: "null", type: "character", device: { major: 1, minor: 3 }, mode: 0o666 },
      {
        path: "ping",
        bytes: Buffer.alloc(100),
        xattrs: new Map([["security.capability", Buffer.from("0100000200200000", "hex")]]),
      },
    ]);
    expect({ size: result.size, root: result.root, format: result.format }).toEqual({
      size: 20480,
      root: "fe1b456f8f4e04c269cf0cf7aa0d9fedd756dfa7d9b4f289af80c1041d71301e",
      format: 1,
    });
  });

  it("a directory of 5,000 names answers for those it has and for none between", () => {
    const names = Array.from({ length: 5000 }, (_, n) => `name-${n}`);
    const { paths, lookup } = readErofs(writeImage(names.map((path) => ({ path }))).image);
    const root = paths.get("");
    if (root === undefined) throw new Error("expected a root");
    for (const path of names.filter((_, n) => n % 10 === 0)) {
      expect(lookup(root, path)).toBe(paths.get(path)?.nid);
      expect(lookup(root, `${path}~`)).toBeUndefined();
    }
    expect(lookup(root, "!")).toBeUndefined();
  });

  it("content that does not agree with the size is refused", () => {
    const short = createErofsWriter(undefined);
    short.entry({ ...entryOf({ path: "f" }), size: 5000 });
    short.data(Buffer.alloc(4999));
    expect(messageOf(() => short.finish())).toBe("expected 5000 bytes of file content, got 4999");
    const long = createErofsWriter(undefined);
    long.entry({ ...entryOf({ path: "f" }), size: 3 });
    expect(messageOf(() => long.data(Buffer.alloc(4)))).toBe("expected no content beyond the size of a file");
  });
});
