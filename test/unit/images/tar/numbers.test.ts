import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatTime, octal, parseDecimal, parseTime, readNumber } from "../../../../images/tar/numbers.ts";

describe("parseTime", () => {
  test.each([
    ["0", 0, 0],
    ["1.5", 1, 500_000_000],
    ["1.", 1, 0],
    ["-1", -1, 0],
    ["-1.5", -2, 500_000_000],
    ["-0.000000001", -1, 999_999_999],
    ["1.0000000019", 1, 1],
  ])("reads %s as %i s and %i ns", (text, seconds, nanoseconds) => {
    expect(parseTime(text)).toEqual({ seconds, nanoseconds });
  });

  test.each(["", "-", ".5", "1e3", "+1", " 1", "1 ", "0x10", "1.5.5", "9".repeat(16)])("refuses %j", (text) => {
    expect(parseTime(text)).toBeUndefined();
  });

  test("is the inverse of formatTime", () => {
    const time = fc.record({
      seconds: fc.integer({ min: -(2 ** 44), max: 2 ** 44 }),
      nanoseconds: fc.nat(999_999_999),
    });
    fc.assert(
      fc.property(time, (value) => {
        expect(parseTime(formatTime(value))).toEqual(value);
      }),
    );
  });
});

describe("readNumber", () => {
  test("is the inverse of octal where the number fits", () => {
    fc.assert(
      fc.property(fc.nat(0o7777777), (value) => {
        expect(readNumber(Buffer.from(octal(value, 8) ?? "", "latin1"), 0, 8)).toBe(value);
      }),
    );
    expect(octal(0o7777777 + 1, 8)).toBeUndefined();
    expect(octal(-1, 8)).toBeUndefined();
  });

  test.each([
    ["   644 \0", 0o644],
    ["\0\0\0\0\0\0\0\0", 0],
    ["00000644", 0o644],
    ["644x\0\0\0\0", undefined],
    ["6 4\0\0\0\0\0", undefined],
    ["\x80\xff\xff\xff\xff\xff\xff\xff", undefined],
  ])("reads the field %j as %s", (field, value) => {
    expect(readNumber(Buffer.from(field, "latin1"), 0, 8)).toBe(value);
  });
});

test.each([
  ["12", 12],
  ["-1", undefined],
  ["1.5", undefined],
  ["9999999999999999", undefined],
])("parseDecimal reads %s as %s", (text, value) => {
  expect(parseDecimal(text)).toBe(value);
});
