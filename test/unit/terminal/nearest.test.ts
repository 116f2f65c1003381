import { describe, expect, test } from "vitest";
import { nearest } from "../../../terminal/nearest.ts";

describe("nearest", () => {
  test.each([
    ["promoet", "promote"],
    ["ROLLBAK", "rollback"],
    ["RUNX", "run"],
  ])("takes %s for %s", (typed, meant) => {
    expect(nearest(typed, ["build", "promote", "rollback", "run"])).toBe(meant);
  });

  test("says nothing rather than something far-fetched", () => {
    expect(nearest("zebra", ["build", "promote"])).toBeUndefined();
  });
});
