import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeListing, encodeListing, listingId } from "../../../../builder/tree/listing.ts";
import { openTree } from "../../../../builder/tree/tree.ts";
import { lookupOwner, lookupUser } from "../../../../builder/tree/users.ts";
import { entries } from "../entries.ts";

const tree = openTree(
  entries(
    "d:",
    "l:bin>usr/bin",
    "d:etc",
    "f:etc/group=root:x:0:\nstaff:x:50:app,other\napp:x:71:\n",
    "f:etc/passwd=root:x:0:0:r:/root:/bin/sh\napp:x:70:71:a:/home/app:/bin/sh\n",
    "l:loop>loop",
    "l:up>../../../etc",
    "d:usr",
    "d:usr/bin",
    "l:usr/bin/awk>/etc/alternatives/awk",
    "f:usr/bin/cat=cat",
    "h:usr/bin/dog>usr/bin/cat",
  ),
);

describe("openTree", () => {
  test.each([
    ["bin/cat", "usr/bin/cat"],
    ["/bin/../bin/cat", "usr/bin/cat"],
    ["up/passwd", "etc/passwd"],
    ["../../etc/passwd", "etc/passwd"],
    ["bin/awk", "etc/alternatives/awk"],
    ["no/such/./thing", "no/such/thing"],
    ["", ""],
  ])("resolves %j to %j, never out of the tree", (path, expected) => {
    expect(tree.resolve(path)).toBe(expected);
  });

  test("keeps the last link when it is asked to, and refuses a loop", () => {
    expect(tree.resolve("bin/awk", { keepLast: true })).toBe("usr/bin/awk");
    expect(() => tree.resolve("loop/x")).toThrow("at most 40 symbolic links");
  });

  test("reads files through links and hard links, and lists directories", () => {
    expect(tree.read("bin/dog")?.toString()).toBe("cat");
    expect(tree.read("etc")).toBeUndefined();
    expect(tree.names("usr/bin")).toEqual(["awk", "cat", "dog"]);
    expect(tree.below("usr").map(({ path }) => path)).toEqual([
      "usr",
      "usr/bin",
      "usr/bin/awk",
      "usr/bin/cat",
      "usr/bin/dog",
    ]);
    expect(tree.trail("bin/cat")).toEqual(["bin", "usr/bin/cat"]);
  });
});

describe("lookupUser", () => {
  test.each([
    [undefined, { uid: 0, gid: 0, groups: [], home: "/root" }],
    ["app", { uid: 70, gid: 71, groups: [50], home: "/home/app" }],
    ["70", { uid: 70, gid: 71, groups: [50], home: "/home/app" }],
    ["app:staff", { uid: 70, gid: 50, groups: [], home: "/home/app" }],
    ["4000:5000", { uid: 4000, gid: 5000, groups: [], home: "/" }],
  ])("%j", (user, expected) => {
    expect(lookupUser(tree, user)).toEqual(expected);
  });

  test("an owner without a group takes the user's number, and unknown names are refused", () => {
    expect(lookupOwner(tree, { user: "app", group: undefined })).toEqual({ uid: 70, gid: 70 });
    expect(lookupOwner(tree, { user: "1", group: "staff" })).toEqual({ uid: 1, gid: 50 });
    expect(() => lookupUser(tree, "ghost")).toThrow('expected user "ghost" in the tree\'s /etc/passwd');
    expect(() => lookupOwner(tree, { user: "app", group: "ghosts" })).toThrow('expected group "ghosts"');
  });
});

describe("listings", () => {
  test("survive being written and read, for any name and value", () => {
    const bytes = fc
      .uint8Array({ minLength: 1, maxLength: 20 })
      .map((array) => Buffer.from(array).toString("latin1").replaceAll("/", "_"));
    fc.assert(
      fc.property(bytes, bytes, fc.nat(), (path, link, seconds) => {
        const [made] = entries("l:x>y");
        const list = [
          {
            ...made,
            path,
            link,
            mtime: { seconds, nanoseconds: 0 },
            xattrs: new Map([["user.a", Buffer.from(link, "latin1")]]),
          },
        ];
        expect(decodeListing(encodeListing(list as never), "/root")).toEqual(list);
      }),
    );
  });

  test("are named by what later steps can see: volatile files do not count, content and modes do", () => {
    const plain = entries("d:", "f:a=1");
    expect(listingId(entries("d:", "f:a=1", "f:var/log/dpkg.log=x"))).toBe(listingId(plain));
    expect(listingId(entries("d:", "f:a=2"))).not.toBe(listingId(plain));
    expect(listingId(plain.map((entry) => ({ ...entry, mode: 0o600 })))).not.toBe(listingId(plain));
  });
});
