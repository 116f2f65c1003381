import { expect, test } from "vitest";
import { parseUntil } from "../../../hostd/verbs/hold.ts";

const now = new Date("2026-12-20T12:00:00Z");

test.each([
  ["14d", new Date("2027-01-03T12:00:00Z")],
  ["2027-01-02", new Date(2027, 0, 2)],
  ["2027-01-02T08:00", new Date(2027, 0, 2, 8)],
  ["2027-01-02 08:00:30", new Date(2027, 0, 2, 8, 0, 30)],
  ["2027-01-02T08:00Z", new Date("2027-01-02T08:00:00Z")],
  ["2027-01-02T08:00+02:00", new Date("2027-01-02T06:00:00Z")],
])("a hold may end at %s", (given, expected) => {
  expect(parseUntil(given, now)).toEqual(expected);
});

test.each(["", "tomorrow", "2027-1-2", "2027-02-30", "2027-13-01", "2027-01-02T25:00", "0d", "1767312000"])(
  "%j is no time",
  (given) => {
    expect(() => parseUntil(given, now)).toThrow(`--until: expected a time, got ${given}`);
  },
);
