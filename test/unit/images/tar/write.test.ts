import { extract } from "tar-stream";
import { describe, expect, test } from "vitest";
import { END_OF_ARCHIVE, encodeHeader, padding } from "../../../../images/tar/write.ts";
import { entryOf, tarOf } from "../entries.ts";

const NOTHING = Buffer.alloc(0);

/** What another reader makes of the first header. */
async function foreign(entry: ReturnType<typeof entryOf>) {
  const reader = extract();
  reader.end(tarOf([{ entry, data: NOTHING }]));
  for await (const found of reader) return found.header;
  throw new Error("expected a header");
}

describe("encodeHeader", () => {
  test("takes one block for what ustar can say", () => {
    expect(
      encodeHeader(entryOf({ path: "a/b", mode: 0o4755, mtime: { seconds: 1_700_000_000, nanoseconds: 0 } })),
    ).toHaveLength(512);
  });

  test("adds a PAX header only for what ustar cannot say, with sorted keywords", () => {
    const entry = entryOf({
      path: "p".repeat(101),
      uid: 3_000_000,
      mtime: { seconds: -2, nanoseconds: 500_000_000 },
      xattrs: new Map([
        ["user.b", Buffer.from([0, 255])],
        ["user.a=%", Buffer.from("1")],
      ]),
    });
    const body = encodeHeader(entry).toString("latin1", 512, 1024).replace(/\0+$/, "");
    expect(body.split("\n").map((line) => line.replace(/^\d+ /, ""))).toEqual([
      "SCHILY.xattr.user.a%3D%25=1",
      "SCHILY.xattr.user.b=\0\xff",
      "mtime=-1.5",
      `path=${"p".repeat(101)}`,
      "uid=3000000",
      "",
    ]);
  });

  test("does not depend on the order in which attributes were found", () => {
    const one = new Map([
      ["user.a", NOTHING],
      ["user.b", NOTHING],
    ]);
    const other = new Map([...one].reverse());
    expect(encodeHeader(entryOf({ xattrs: one }))).toEqual(encodeHeader(entryOf({ xattrs: other })));
  });

  test("is read by another tar reader as it was meant", async () => {
    const path = `${"long/".repeat(40)}name`;
    const entry = entryOf({ path, type: "character", mode: 0o600, uid: 7, gid: 8, device: { major: 4, minor: 255 } });
    expect(await foreign(entry)).toMatchObject({
      name: path,
      type: "character-device",
      mode: 0o600,
      uid: 7,
      gid: 8,
      devmajor: 4,
      devminor: 255,
    });
  });

  test("writes the root as ./ and a directory with a slash at its end", () => {
    expect(encodeHeader(entryOf({ path: "", type: "directory" })).toString("latin1", 0, 3)).toBe("./\0");
    expect(encodeHeader(entryOf({ path: "a", type: "directory" })).toString("latin1", 0, 3)).toBe("a/\0");
  });
});

test.each([
  [0, 0],
  [1, 511],
  [512, 0],
  [513, 511],
])("a content of %i bytes is followed by %i zeros", (size, zeros) => {
  expect(padding(size)).toEqual(Buffer.alloc(zeros));
});

test("an archive ends with two zero blocks", () => {
  expect(END_OF_ARCHIVE).toEqual(Buffer.alloc(1024));
});
