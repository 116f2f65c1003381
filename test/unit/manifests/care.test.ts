import { expect, test } from "vitest";
import { type Damage, unrepaired } from "../../../manifests/care.ts";

test("unrepaired: what was damaged and is not mended; nothing where nobody looked yet", () => {
  const damage = (what: string, repaired: boolean): Damage => ({ what, message: "bad block", slots: [], repaired });
  const damaged = [damage("a", true), damage("b", false)];
  const scrub = { schema: 1 as const, at: "2026-01-01T00:00:00.000Z", layers: 2, bytes: 8192, damaged };
  expect(unrepaired(scrub).map(({ what }) => what)).toEqual(["b"]);
  expect(unrepaired(undefined)).toEqual([]);
});
