import { expect, test } from "vitest";
import { wayTo } from "../../../../hostd/host/compare.ts";
import { Failure } from "../../../../manifests/failure.ts";
import { engineOf, versionOf } from "./staged.ts";

const LIVE = { hostdOnly: true, live: true, why: "only /usr/lib/hostd differs" };
const REBOOT = { hostdOnly: false, live: false, why: "the two systems could not be compared" };

/** A node with two versions that differ in hostd alone; asks for the way from one to the other. */
function nodeOf(compareLayers: () => Promise<string[]>) {
  const engine = engineOf([versionOf("1"), versionOf("2")], {
    machine: { booted: "1".repeat(64), isGuarded: async () => true },
    etc: { undeclared: async () => [], isAlike: async () => true },
    compareLayers,
  });
  const [to, from] = engine.journal.slots.list("host");
  if (to === undefined || from === undefined) throw new Error("expected two versions");
  return () => wayTo(engine, { from, to, basis: { declared: {}, revision: 0 } });
}

test.each([
  ["no-loop-device", "is looked again", LIVE, 2],
  ["mount-failed", "stays so", REBOOT, 1],
] as const)("wayTo: a look that failed with %s is a reboot, and %s", async (code, _what, then, times) => {
  let looks = 0;
  const ask = nodeOf(async () => {
    if (++looks === 1) throw new Failure("failed", code, "no loop device is free");
    return ["usr/lib/hostd/hostd.mjs"];
  });
  expect(await ask()).toEqual(REBOOT);
  expect(await ask()).toEqual(then);
  expect(await ask()).toEqual(then);
  expect(looks).toBe(times);
});

test("wayTo: what cannot be read is an error, and is read again", async () => {
  let looks = 0;
  const ask = nodeOf(async () => {
    if (++looks === 1) throw new Error("EIO: i/o error, read");
    return [];
  });
  await expect(ask()).rejects.toThrow("EIO");
  expect(await ask()).toEqual(LIVE);
});
