import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isWithin, lengthOf, parseWindow, showWindow } from "../../../manifests/window.ts";

const at = (hour: number, minute: number) => new Date(2026, 0, 15, hour, minute);
const windowOf = (text: string) => parseWindow(text) ?? { from: -1, to: -1 };

describe("window", () => {
  it.each([
    ["02:00-05:00", [2, 0], [4, 59], [1, 59], [5, 0], 3],
    ["22:30-01:30", [22, 30], [1, 29], [22, 29], [1, 30], 3],
  ] as const)(
    "%s has its first minute and not its last, also over midnight",
    (text, first, last, before, after, hours) => {
      const window = windowOf(text);
      expect([first, last, before, after].map(([hour, minute]) => isWithin(window, at(hour, minute)))).toEqual([
        ...[true, true],
        ...[false, false],
      ]);
      expect(lengthOf(window)).toBe(hours * 3_600_000);
    },
  );

  it.each(["", "02:00", "2:00-5:00", "02:00-24:00", "02:60-05:00", "02:00-02:00", "02:00-05:00 ", "a02:00-05:00"])(
    "%j is none",
    (text) => {
      expect(parseWindow(text)).toBeUndefined();
    },
  );

  it("is shown as it is read, and a minute is in it or in what is left of the day", () => {
    const minute = fc.integer({ min: 0, max: 1439 });
    fc.assert(
      fc.property(minute, minute, minute, (from, to, now) => {
        fc.pre(from !== to);
        expect(parseWindow(showWindow({ from, to }))).toEqual({ from, to });
        const date = at(Math.floor(now / 60), now % 60);
        expect(isWithin({ from, to }, date)).toBe(!isWithin({ from: to, to: from }, date));
      }),
    );
  });
});
