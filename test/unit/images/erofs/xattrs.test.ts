import { describe, expect, it } from "vitest";
import { ErofsError } from "../../../../images/erofs/error.ts";
import { encodeXattrs, xattrArea } from "../../../../images/erofs/xattrs.ts";
import { messageOf } from "../../../erofs-image.ts";

const encode = (name: string, value = Buffer.from("v")) => encodeXattrs("etc/x", new Map([[name, value]]));

describe("encodeXattrs", () => {
  it.each([
    ["user.note", 1, "note"],
    ["system.posix_acl_access", 2, ""],
    ["system.posix_acl_default", 3, ""],
    ["trusted.note", 4, "note"],
    ["security.capability", 6, "capability"],
  ])("writes %s with prefix %i", (name, index, rest) => {
    const bytes = encode(name, Buffer.from([0x80, 0]));
    const used = Buffer.concat([Buffer.from([rest.length, index, 2, 0]), Buffer.from(rest), Buffer.from([0x80, 0])]);
    expect(bytes?.subarray(0, used.length)).toEqual(used);
    expect(bytes?.length).toBe(Math.ceil(used.length / 4) * 4);
  });

  it("gives one form whatever the order, and nothing for none", () => {
    const a: [string, Buffer] = ["user.a", Buffer.from("1")];
    const b: [string, Buffer] = ["security.b", Buffer.from("2")];
    expect(encodeXattrs("x", new Map([a, b]))).toEqual(encodeXattrs("x", new Map([b, a])));
    expect(encodeXattrs("x", new Map())).toBeUndefined();
  });

  it.each([
    ["trusted.overlay.redirect", "is overlayfs's own"],
    ["trusted.overlay.opaque", "is overlayfs's own"],
    ["system.nfs4_acl", "is of a namespace that EROFS cannot hold"],
    ["os2.x", "is of a namespace that EROFS cannot hold"],
    ["user.", "expected more than its prefix"],
    [`user.${"n".repeat(251)}`, "expected more than its prefix, at most 255"],
  ])("refuses %s rather than dropping it", (name, why) => {
    expect(messageOf(() => encode(name))).toContain(why);
    expect(messageOf(() => encode(name))).toContain("etc/x");
    expect(() => encode(name)).toThrow(ErofsError);
  });

  it("refuses more than the count field can say", () => {
    const many = new Map(Array.from({ length: 5 }, (_, n) => [`user.${n}`, Buffer.alloc(60_000)] as const));
    expect(messageOf(() => encodeXattrs("x", many))).toMatch(/^x: expected at most \d+ bytes of extended attributes/);
  });
});

describe("xattrArea", () => {
  it("writes no header without an entry", () => {
    expect(xattrArea(undefined, false).length).toBe(0);
  });

  it("joins the opaque mark to the other attributes behind a header of 12 zeros", () => {
    const own = encode("user.a");
    const area = xattrArea(own, true);
    expect(area.subarray(0, 12)).toEqual(Buffer.alloc(12));
    expect(area.subarray(12, 12 + (own?.length ?? 0))).toEqual(own);
    expect(area.subarray(12 + (own?.length ?? 0)).toString("latin1")).toBe("\x0e\x04\x01\x00overlay.opaquey\0");
  });
});
