import { expect, test } from "vitest";
import { pauseAfter } from "../../../../hostd/health/hindered.ts";

test("a hindered restart is tried again after two seconds, then ever more seldom, and at least every five minutes", () => {
  const pauses = Array.from({ length: 20 }, (_, index) => pauseAfter(index + 1));
  expect(pauses.slice(0, 4)).toEqual([2_000, 4_000, 8_000, 16_000]);
  expect(pauses.at(-1)).toBe(300_000);
  expect(pauses).toEqual([...pauses].sort((one, other) => one - other));
});
