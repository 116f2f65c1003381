import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TarError } from "../../../../images/tar/error.ts";
import { encodePax, parsePax, xattrKeyword, xattrName } from "../../../../images/tar/pax.ts";

const binary = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
const keyword = fc.constantFrom("path", "linkpath", "uid", "SCHILY.xattr.user.a", "SCHILY.xattr.security.capability");

describe("parsePax", () => {
  test("is the inverse of encodePax for any bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(keyword, binary)), (pairs) => {
        const records = new Map(pairs);
        expect(parsePax(encodePax(records))).toEqual(records);
      }),
    );
  });

  test("throws nothing but TarError on random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          parsePax(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(TarError);
        }
      }),
    );
  });

  test("counts the digits of the length in the length", () => {
    expect(encodePax(new Map([["path", "x".repeat(90)]])).toString()).toMatch(/^99 path=/);
    expect(encodePax(new Map([["path", "x".repeat(91)]])).toString()).toMatch(/^101 path=/);
  });

  test("leaves out what an entry does not hold", () => {
    expect(parsePax(Buffer.from("13 atime=1.5\n14 uname=root\n"))).toEqual(new Map());
  });

  test.each(["5 a=b", "5 a=b\n5", "0 =\n", "x", "6 path\n", "99999999999 a=b\n", "8 =path\n"])("refuses %j", (text) => {
    expect(() => parsePax(Buffer.from(text))).toThrow(TarError);
  });
});

describe("xattrName", () => {
  test("is the inverse of xattrKeyword", () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        expect(xattrName(xattrKeyword(name))).toBe(name);
      }),
    );
  });

  test("refuses an escape that was never written", () => {
    expect(() => xattrName("SCHILY.xattr.user.50%off")).toThrow("expected %25 or %3D in a name, got %of");
  });
});
