import fc from "fast-check";
import { expect, test } from "vitest";
import { mountAt, parseMountinfo } from "../../../../hostd/system/mountinfo.ts";

const TEXT = `22 27 0:20 / /proc rw,relatime - proc proc rw
45 27 0:39 / /run/hostd/slots/shop/111111111111 ro,relatime shared:1 master:2 - overlay sha256:11 ro,lowerdir=top:base:empty
46 27 7:0 / /with\\040space\\134and\\012more ro - erofs /dev/loop0 ro,user_xattr
`;

test("a line becomes mount point, type, source and options, whatever optional fields stand between", () => {
  expect(parseMountinfo(TEXT)).toEqual([
    { mountPoint: "/proc", type: "proc", source: "proc", options: ["rw"] },
    {
      mountPoint: "/run/hostd/slots/shop/111111111111",
      type: "overlay",
      source: "sha256:11",
      options: ["ro", "lowerdir=top:base:empty"],
    },
    { mountPoint: "/with space\\and\nmore", type: "erofs", source: "/dev/loop0", options: ["ro", "user_xattr"] },
  ]);
});

test("the last of several mounts at one place is the one that is seen", () => {
  const mounts = parseMountinfo("1 1 0:1 / /a rw - tmpfs one rw\n2 1 0:2 / /a rw - tmpfs two rw\n");
  expect(mountAt(mounts, "/a")?.source).toBe("two");
  expect(mountAt(mounts, "/b")).toBeUndefined();
});

test("lines of another form are left out, and no text makes it throw", () => {
  expect(parseMountinfo("nonsense\n\n1 2 3 - x\n")).toEqual([]);
  fc.assert(fc.property(fc.string(), (text) => Array.isArray(parseMountinfo(text))));
});

test("every path that the kernel escapes comes back as it was", () => {
  const path = fc.stringMatching(/^\/[ -~\n\t]{0,40}$/);
  fc.assert(
    fc.property(path, path, (mountPoint, source) => {
      const line = `1 1 0:1 / ${escapeAsKernel(mountPoint)} rw shared:3 - tmpfs ${escapeAsKernel(source)} rw`;
      expect(parseMountinfo(line)).toEqual([{ mountPoint, type: "tmpfs", source, options: ["rw"] }]);
    }),
  );
});

function escapeAsKernel(text: string): string {
  return text.replace(/[ \t\n\\#]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
