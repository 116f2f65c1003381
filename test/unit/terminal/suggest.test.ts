import { describe, expect, test } from "vitest";
import { editDistance, suggest } from "../../../terminal/suggest.ts";

describe("suggest", () => {
  test.each([
    ["promoet", "promote"],
    ["ROLLBAK", "rollback"],
    ["RUNX", "run"],
  ])("takes %s for %s", (typed, meant) => {
    expect(suggest(typed, ["build", "promote", "rollback", "run"])).toBe(meant);
  });

  test("says nothing rather than something far-fetched", () => {
    expect(suggest("zebra", ["build", "promote"])).toBeUndefined();
  });
});

test("editDistance counts a swap of neighbours once", () => {
  expect(editDistance("biuld", "build")).toBe(1);
});
