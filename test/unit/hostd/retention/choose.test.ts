import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseCollected, type Kept } from "../../../../hostd/retention/choose.ts";
import type { Digest } from "../../../../manifests/digest.ts";
import { SLOT_STATES } from "../../../../manifests/node.ts";

const digest = (number: number): Digest => `sha256:${String(number).padStart(64, "0")}`;
const slot = (number: number, state: Kept["state"], pinned = false): Kept => ({ image: digest(number), state, pinned });
const numbers = (images: readonly Digest[]) => images.map((image) => Number(image.slice(-4)));

describe("chooseCollected", () => {
  test("keeps the newest, whatever runs, what is pinned and the last good one", () => {
    const slots = [
      slot(9, "staged"),
      slot(8, "staged"),
      slot(7, "staged"),
      slot(6, "good"),
      slot(5, "good"),
      slot(4, "good", true),
      slot(3, "good"),
    ];
    expect(numbers(chooseCollected({ slots, inUse: [digest(5)], keep: 2 }))).toEqual([7, 3]);
  });

  test("a failed version does not count as one of the newest, and goes first", () => {
    const slots = [slot(9, "failed"), slot(8, "good"), slot(7, "good"), slot(6, "good")];
    expect(numbers(chooseCollected({ slots, inUse: [], keep: 2 }))).toEqual([9, 6]);
  });

  test("never what is in use, on trial, pinned, or the last good one", () => {
    const slots = fc.uniqueArray(
      fc.record({ number: fc.nat(30), state: fc.constantFrom(...SLOT_STATES), pinned: fc.boolean() }),
      {
        selector: ({ number }) => number,
      },
    );
    fc.assert(
      fc.property(slots, fc.integer({ min: 1, max: 5 }), fc.nat(30), (made, keep, running) => {
        const given = made.map(({ number, state, pinned }) => slot(number, state, pinned));
        const collected = chooseCollected({ slots: given, inUse: [digest(running)], keep });
        const lastGood = given.find(({ state }) => state === "good");
        for (const image of collected) {
          const found = given.find((entry) => entry.image === image);
          expect(found?.pinned).toBe(false);
          expect(found?.state).not.toBe("trial");
          expect(image).not.toBe(digest(running));
          expect(image).not.toBe(lastGood?.image);
        }
        const usable = given.filter(({ state }) => state !== "failed").length;
        expect(given.length - collected.length).toBeGreaterThanOrEqual(Math.min(keep, usable));
      }),
    );
  });
});
