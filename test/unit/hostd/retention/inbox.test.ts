import { describe, expect, test } from "vitest";
import { chooseUnneeded } from "../../../../hostd/retention/inbox.ts";

const DAY = 86_400_000;

describe("chooseUnneeded", () => {
  const choose = (name: string, age: number, of: { laidDown?: string[]; named?: string[] } = {}) =>
    chooseUnneeded({
      blobs: [{ name, age }],
      laidDown: new Set(of.laidDown),
      named: new Set(of.named ?? of.laidDown),
    }).length === 1;

  test("takes what is laid down at once", () => {
    expect(choose("a", 0, { laidDown: ["a"] })).toBe(true);
  });

  test("keeps manifests and configs of versions here, and layers that are not laid down or damaged, however old", () => {
    expect(choose("a", 100 * DAY, { named: ["a"] })).toBe(false);
  });

  test("takes what no version here has, half-sent files among it, once a push would not go on any more", () => {
    expect(choose("a", 6 * DAY)).toBe(false);
    expect(choose("a", 8 * DAY)).toBe(true);
    expect(choose("a.part", 8 * DAY, { named: ["a"] })).toBe(true);
  });
});
