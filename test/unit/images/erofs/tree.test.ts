import { describe, expect, it } from "vitest";
import { LAYER_LIMITS } from "../../../../images/erofs/limits.ts";
import { createLayerTree } from "../../../../images/erofs/tree.ts";
import { entryOf, messageOf, type TestEntry, writeImage } from "../../../erofs-image.ts";
import { readErofs } from "../../../erofs-reader.ts";

const OPAQUE = "trusted.overlay.opaque";
const directory = (path: string, more: Partial<TestEntry> = {}): TestEntry => ({ path, type: "directory", ...more });
const file = (path: string, text = ""): TestEntry => ({ path, bytes: Buffer.from(text) });

function pathsOf(entries: TestEntry[]) {
  return readErofs(writeImage(entries).image).paths;
}

describe("whiteouts", () => {
  it("a .wh. name becomes a character device 0:0 under the plain name", () => {
    const gone = pathsOf([file(".wh.gone")]).get("gone");
    expect(gone).toMatchObject({ type: "character", mode: 0, device: { major: 0, minor: 0 } });
  });

  it.each([
    ["the marker first", [file("d/.wh..wh..opq"), directory("d")]],
    ["the directory first", [directory("d"), file("d/.wh..wh..opq")]],
  ])("an opaque marker makes its directory opaque: %s", (_, entries) => {
    const paths = pathsOf(entries);
    expect(paths.get("d")?.xattrs).toEqual({ [OPAQUE]: "79" });
    expect([...paths.keys()]).toEqual(["", "d"]);
  });

  it("an opaque mark joins the directory's own attributes", () => {
    const own = new Map([["user.note", Buffer.from("hi")]]);
    const paths = pathsOf([directory("d", { xattrs: own }), file("d/.wh..wh..opq")]);
    expect(paths.get("d")?.xattrs).toEqual({ [OPAQUE]: "79", "user.note": "6869" });
  });

  it.each([
    ["before", [file(".wh.d"), directory("d"), file("d/x")]],
    ["after", [directory("d"), file("d/x"), file(".wh.d")]],
    ["before what is in it and then the directory", [file(".wh.d"), file("d/x"), directory("d")]],
  ])("a whiteout %s a directory of its own layer makes that opaque and removes nothing", (_, entries) => {
    const paths = pathsOf(entries);
    expect(paths.get("d")?.xattrs).toEqual({ [OPAQUE]: "79" });
    expect(paths.get("d/x")?.type).toBe("file");
  });

  it.each([
    ["before", [file(".wh.f"), file("f", "new")]],
    ["after", [file("f", "new"), file(".wh.f")]],
  ])("a whiteout %s a file of its own layer changes nothing", (_, entries) => {
    expect(pathsOf(entries).get("f")?.content.toString()).toBe("new");
  });

  it("the same whiteout twice is one", () => {
    expect([...pathsOf([file(".wh.f"), file(".wh.f")]).keys()]).toEqual(["", "f"]);
  });

  it.each<[string, TestEntry, string]>([
    ["an opaque marker at the root", file(".wh..wh..opq"), "expected no opaque marker at the root"],
    ["a whiteout of nothing", file(".wh."), "is not a whiteout that is known"],
    ["an unknown marker", file(".wh..wh.plnk"), "is not a whiteout that is known"],
    ["a whiteout with content", file(".wh.a", "x"), "expected a whiteout to be an empty file"],
    ["a whiteout that is a directory", directory(".wh.a"), "expected a whiteout to be an empty file"],
    ["an entry below a whiteout name", file(".wh.a/b"), "expected no entry below a whiteout"],
    ["a whiteout of ..", file(".wh..."), 'expected no part ".."'],
  ])("%s is refused", (_, entry, why) => {
    expect(messageOf(() => writeImage([entry]))).toContain(why);
  });

  it("a character device 0:0 that the tar brings itself is refused", () => {
    const device: TestEntry = { path: "c", type: "character" };
    expect(messageOf(() => writeImage([device]))).toContain("takes for a whiteout");
  });
});

describe("directories", () => {
  it("may come after what is in them", () => {
    const paths = pathsOf([file("a/b/f"), directory("a/b", { mode: 0o700 }), directory("a", { mode: 0o711 })]);
    expect([paths.get("a")?.mode, paths.get("a/b")?.mode]).toEqual([0o711, 0o700]);
  });

  it("without an entry of their own are refused by name", () => {
    expect(messageOf(() => writeImage([directory("a"), file("a/b/f")]))).toBe(
      "a/b: expected an entry for this directory: it only has entries below",
    );
  });

  it("a root without an entry is 0755, root's, from 1970; an entry changes that", () => {
    expect(pathsOf([]).get("")).toMatchObject({ mode: 0o755, uid: 0, gid: 0, seconds: 0n });
    expect(pathsOf([directory("", { mode: 0o1777, uid: 5 })]).get("")).toMatchObject({ mode: 0o1777, uid: 5 });
  });

  it("a second entry changes the attributes and keeps what is in it", () => {
    const paths = pathsOf([directory("d"), file("d/f"), directory("d", { mode: 0o500 })]);
    expect([...paths.keys()]).toEqual(["", "d", "d/f"]);
    expect(paths.get("d")?.mode).toBe(0o500);
  });

  it("one that is not empty is not replaced; an empty one is", () => {
    expect(messageOf(() => writeImage([directory("d"), file("d/f"), file("d")]))).toContain(
      "d: expected no other type",
    );
    expect(pathsOf([directory("d"), file("d")]).get("d")?.type).toBe("file");
  });

  it("replaces a file, and takes entries from then on", () => {
    expect([...pathsOf([file("d"), directory("d"), file("d/f")]).keys()]).toEqual(["", "d", "d/f"]);
  });
});

describe("files", () => {
  it("a later entry of the same path wins", () => {
    expect(
      pathsOf([file("f", "old"), file("f", "new")])
        .get("f")
        ?.content.toString(),
    ).toBe("new");
  });

  it("hard links are one inode, also of a symlink and a fifo", () => {
    const paths = pathsOf([
      file("f", "text"),
      { path: "s", type: "symlink", link: "f" },
      { path: "p", type: "fifo" },
      { path: "f2", type: "hardlink", link: "f" },
      { path: "s2", type: "hardlink", link: "s" },
      { path: "p2", type: "hardlink", link: "p" },
    ]);
    for (const name of ["f", "s", "p"]) expect(paths.get(name)).toBe(paths.get(`${name}2`));
    expect(paths.get("f")?.nlink).toBe(2);
  });

  it("replacing one name of a hard link leaves the other", () => {
    const paths = pathsOf([file("f", "text"), { path: "g", type: "hardlink", link: "f" }, file("f", "new")]);
    expect([paths.get("f")?.content.toString(), paths.get("g")?.content.toString()]).toEqual(["new", "text"]);
    expect([paths.get("f")?.nlink, paths.get("g")?.nlink]).toEqual([1, 1]);
  });

  it("a hard link to itself changes nothing", () => {
    expect(pathsOf([file("f"), { path: "f", type: "hardlink", link: "f" }]).get("f")?.nlink).toBe(1);
  });
});

describe("refusals", () => {
  const symlink: TestEntry = { path: "s", type: "symlink", link: "/etc" };
  it.each<[string, TestEntry[], string]>([
    ["..", [file("a/../b")], 'expected no part ".."'],
    ["an empty part", [file("a//b")], 'expected no part ""'],
    ["a name of 256 bytes", [file("n".repeat(256))], "expected names of at most 255 bytes, got 256"],
    ["a zero byte", [file("a\0b")], "expected no zero byte in a name"],
    ["a path below a file", [file("f"), file("f/g")], "f/g: expected f above it to be a directory"],
    ["a path through a symlink", [symlink, file("s/x")], "s/x: expected s above it to be a directory"],
    [
      "a hard link to nothing",
      [{ path: "h", type: "hardlink", link: "f" }],
      "hard link target f to be an earlier file",
    ],
    ["a hard link to a later file", [{ path: "h", type: "hardlink", link: "f" }, file("f")], "to be an earlier file"],
    [
      "a hard link to a directory",
      [directory("d"), { path: "h", type: "hardlink", link: "d" }],
      "to be an earlier file",
    ],
    ["a hard link to a whiteout", [file(".wh.w"), { path: "h", type: "hardlink", link: "w" }], "to be an earlier file"],
    ["an empty symlink", [{ path: "s", type: "symlink" }], "expected a symlink target of 1 to 4095 bytes, got 0"],
    ["a symlink of 4096 bytes", [{ ...symlink, link: "x".repeat(4096) }], "1 to 4095 bytes, got 4096"],
    ["a path of 4096 bytes", [file("p/".repeat(2048))], "expected at most 4095 bytes"],
    ["a root that is a file", [file("")], "expected a directory, got a file"],
    ["an owner of 33 bits", [{ path: "f", uid: 2 ** 32 }], "expected owner ids of 32 bits, got 4294967296:0"],
    ["a mode with type bits", [{ path: "f", mode: 0o100644 }], "expected a mode of at most 07777, got 0100644"],
    ["a time that is not whole", [{ path: "f", mtime: { seconds: 0.5, nanoseconds: 0 } }], "expected a time in whole"],
    ["a device beyond 12 bits", [{ path: "c", type: "block", device: { major: 4096, minor: 0 } }], "got 4096:0"],
    ["content in a fifo", [{ path: "p", type: "fifo", bytes: Buffer.from("x") }], "expected no content in a fifo"],
  ])("%s is refused", (_, entries, why) => {
    expect(messageOf(() => writeImage(entries))).toContain(why);
  });

  it("more entries than the limit are refused", () => {
    const tree = createLayerTree();
    const add = () => {
      for (let index = 0; index <= LAYER_LIMITS.entries; index++) tree.add(entryOf({ path: `f${index}` }));
    };
    expect(messageOf(add)).toBe("expected at most 500000 entries in a layer");
  }, 60_000);
});
