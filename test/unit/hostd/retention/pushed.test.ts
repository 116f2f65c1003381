import { describe, expect, test } from "vitest";
import { chooseUnneeded } from "../../../../hostd/retention/pushed.ts";

const DAY = 86_400_000;

describe("chooseUnneeded", () => {
  const look = (name: string, age: number, of: { laidDown?: string[]; named?: string[]; before?: string[] } = {}) => {
    const pushed = { blobs: [{ name, age }], laidDown: new Set(of.laidDown), named: new Set(of.named ?? of.laidDown) };
    const { unneeded, old } = chooseUnneeded(pushed, new Set(of.before));
    return { taken: unneeded.length === 1, old: [...old] };
  };

  test("takes what is laid down at once", () => {
    expect(look("a", 0, { laidDown: ["a"] })).toEqual({ taken: true, old: [] });
  });

  test("keeps manifests and configs of versions here, and layers that are not laid down or damaged, however old", () => {
    expect(look("a", 100 * DAY, { named: ["a"], before: ["a"] })).toEqual({ taken: false, old: [] });
  });

  test("takes what no version here has, half-sent files among it, once a push would not go on any more", () => {
    expect(look("a", 6 * DAY, { before: ["a"] })).toEqual({ taken: false, old: [] });
    expect(look("a", 8 * DAY, { before: ["a"] })).toEqual({ taken: true, old: ["a"] });
    expect(look("a.part", 8 * DAY, { named: ["a"], before: ["a.part"] })).toEqual({ taken: true, old: ["a.part"] });
  });

  test("takes nothing for being old at one look alone: the clock may have jumped", () => {
    expect(look("a", 8 * DAY)).toEqual({ taken: false, old: ["a"] });
  });
});
