import { expect, test } from "vitest";
import type { Engine } from "../../../../hostd/engine.ts";
import { type Follow, followChannel } from "../../../../hostd/stage/follow.ts";
import { digestFromHex } from "../../../../manifests/digest.ts";
import { Failure } from "../../../../manifests/failure.ts";

const IMAGE = digestFromHex("ab".repeat(32));
const NIGHT: Follow = { how: "activate", between: { from: 120, to: 300 } };

interface Node {
  follow?: Follow;
  /** Hour of the day. */
  hour?: number;
  row?: { current?: number; hold?: string };
  slot?: "staged" | "failed";
  quarantined?: boolean;
  updatesHeld?: boolean;
  /** Generations that the released image ran as. */
  ran?: number[];
  /** Nothing of it is here any more. */
  removed?: boolean;
  /** What becomes of it while the channel is asked. */
  meanwhile?: { hold: string };
}

test.each<[string, Node, string | undefined]>([
  ["a new release is staged", { follow: { how: "stage" } }, "stage"],
  ["or switched to at once", {}, "deploy"],
  ["in its hours", { follow: NIGHT, hour: 3 }, "deploy"],
  ["outside of them it is staged", { follow: NIGHT, hour: 12 }, "stage"],
  ["and switched to once they come", { follow: NIGHT, hour: 3, slot: "staged" }, "activate"],
  ["what is staged stays so outside of them", { follow: NIGHT, hour: 12, slot: "staged" }, undefined],
  ["and where somebody switches", { follow: { how: "stage" }, slot: "staged" }, undefined],
  ["an app that does not run is not switched on", { row: {} }, "stage"],
  ["nor one that was removed brought again", { row: {}, removed: true }, undefined],
  ["nor one that is kept stopped", { row: { current: 1, hold: "sick" } }, "stage"],
  ["nor one that is stopped while the channel is asked", { meanwhile: { hold: "by ada" } }, "stage"],
  ["nor one whose updates are held", { updatesHeld: true }, "stage"],
  ["which stays with what it has", { updatesHeld: true, slot: "staged" }, undefined],
  ["what failed is left alone", { slot: "failed" }, undefined],
  ["what is quarantined too", { quarantined: true }, undefined],
  ["what ran before is not switched to again", { slot: "staged", ran: [4] }, undefined],
  ["also where it is not here any more", { ran: [4] }, "stage"],
])("%s", async (_, node, expected) => {
  expect(await begun(node)).toEqual(expected === undefined ? [] : [expected]);
});

test.each(["no-release", "busy"])("%s is nothing to tell, anything else is", async (code) => {
  await expect(begun({}, new Failure("failed", code, "later"))).resolves.toEqual([]);
  await expect(begun({}, new Failure("failed", "not-fresh", "stale"))).rejects.toThrow("stale");
});

/** What a look begins. */
async function begun(node: Node, failure?: Failure): Promise<string[]> {
  const { follow = { how: "activate" }, hour = 12, row = { current: 1 }, slot, ran = [] } = node;
  const verbs: string[] = [];
  const engine = {
    settings: { follow, channel: "production" },
    clock: { date: () => new Date(2026, 0, 15, hour) },
    examine: () => (failure === undefined ? Promise.resolve({ image: { digest: IMAGE } }) : Promise.reject(failure)),
    journal: {
      apps: { get: () => ({ app: "shop", floor: 0, ...row, ...node.meanwhile }) },
      slots: { get: () => (slot === undefined ? undefined : { state: slot }), list: () => (node.removed ? [] : [{}]) },
      quarantine: { of: () => (node.quarantined ? { reason: "bad" } : undefined) },
      updateHolds: { of: () => (node.updatesHeld ? { reason: "Christmas" } : undefined) },
      generations: { numbersOf: () => ran },
    },
    submit: Object.fromEntries(["stage", "deploy", "activate"].map((verb) => [verb, () => verbs.push(verb)])),
  } as unknown as Engine;
  await followChannel(engine, { app: "shop", floor: 0, ...row });
  return verbs;
}
