import { expect, test } from "vitest";
import { openCare } from "../../../../hostd/care/care.ts";
import type { Engine } from "../../../../hostd/engine.ts";
import { openSubmit } from "../../../../hostd/operations/submit.ts";

const NOTHING_KEPT = { last: undefined, keep: async () => {} };
const HOUR = 3_600_000;

test.each([
  ["an hour", HOUR, [60_000, HOUR, HOUR]],
  ["a second", 1_000, [1_000, 1_000, 1_000]],
])("with a look each %s the first one is a minute after hostd's start at the latest", async (_, every, expected) => {
  const closing = new AbortController();
  const pauses: number[] = [];
  const clock = {
    date: () => new Date(0),
    now: () => 0,
    async sleep(milliseconds: number) {
      if (pauses.push(milliseconds) === 3) closing.abort();
    },
  };
  const journal = { findDamage: () => undefined, snapshots: { list: () => [] }, apps: { list: () => [] } };
  const settings = { care: { every, scrubEvery: HOUR } };
  const others = { copy: async () => {}, changes: () => 7 };
  const engine = { journal: { ...journal, ...others }, clock, settings, closing: closing.signal, log: () => {} };
  const care = openCare(() => engine as unknown as Engine, NOTHING_KEPT);
  care.begin();
  await care.close();
  expect(pauses).toEqual(expected);
});

test.each([
  ["a week ago is read anew", 7 * 24 * HOUR, 1],
  ["an hour ago is not", HOUR, 0],
  ["in the future, as a clock set back leaves it, is read anew", -HOUR, 1],
])("what was read whole %s at the first look", async (_, age, passes) => {
  const closing = new AbortController();
  const now = Date.parse("2026-03-01T00:00:00.000Z");
  let looks = 0;
  let read = 0;
  const clock = {
    date: () => new Date(now),
    now: () => 5_000,
    async sleep() {
      if (++looks > 1) {
        await new Promise((resolve) => setImmediate(resolve));
        closing.abort();
      }
    },
  };
  const last = { schema: 1 as const, at: new Date(now - age).toISOString(), layers: 0, bytes: 0, damaged: [] };
  const journal = {
    findDamage: () => undefined,
    snapshots: { list: () => [] },
    apps: { list: () => [] },
    copy: async () => {},
    changes: () => 7,
  };
  const settings = { care: { every: HOUR, scrubEvery: 7 * 24 * HOUR } };
  const engine = { journal, clock, settings, closing: closing.signal, log: () => {} };
  const keep = async () => void read++;
  const care = openCare(() => engine as unknown as Engine, { last, keep });
  care.begin();
  await care.close();
  expect(read).toBe(passes);
});

test("a look at which nothing of the journal can be read tells each part that was hindered, and is not the last one", async () => {
  const closing = new AbortController();
  let looks = 0;
  const unreadable = () => {
    throw new Error("disk I/O error");
  };
  const clock = {
    date: () => new Date(0),
    now: () => 0,
    async sleep() {
      if (++looks > 2) closing.abort();
    },
  };
  const journal = {
    findDamage: unreadable,
    apps: { list: unreadable },
    snapshots: { list: unreadable },
    copy: unreadable,
    changes: () => 7,
  };
  const settings = { care: { every: 1, scrubEvery: 1 }, keep: 3, follow: { how: "stage" }, channel: "production" };
  const node = { removeDataLeftovers: unreadable };
  const engine = { journal, node, clock, settings, closing: closing.signal, log: () => {} } as unknown as Engine;
  const care = openCare(() => engine, NOTHING_KEPT);
  care.begin();
  await care.close();
  expect(looks).toBe(3);
  expect(care.lastLook()?.problems).toEqual([
    "journal not verified: disk I/O error",
    "versions not looked after: disk I/O error",
    "snapshots not looked after: disk I/O error",
    "leftovers not removed: disk I/O error",
    "channel not followed: disk I/O error",
    "journal not copied: disk I/O error",
  ]);
});

test("a hostd that is asked to end in the middle of a look goes on with nothing of it", async () => {
  const closing = new AbortController();
  const deeds: string[] = [];
  const journal = {
    findDamage: () => undefined,
    apps: { list: () => [{ app: "shop", current: 1, floor: 0 }] },
    snapshots: { list: () => [] },
    slots: { get: () => undefined },
    quarantine: { of: () => undefined },
    generations: { numbersOf: () => [] },
    copy: () => deeds.push("copy"),
    changes: () => 7,
  };
  const engine: object = {
    journal,
    closing: closing.signal,
    clock: { date: () => new Date(0), now: () => 0, sleep: async () => {} },
    settings: { care: { every: 1, scrubEvery: 1 }, keep: 3, follow: { how: "activate" }, channel: "production" },
    async examine(_: unknown, signal: AbortSignal) {
      closing.abort();
      expect(signal.aborted).toBe(true);
      return { image: { digest: "sha256:1" } };
    },
    submit: openSubmit(() => engine as unknown as Engine),
    log: (_: string, what: string) => deeds.push(what),
  };
  Object.assign(journal, { operations: { byRequest: () => undefined, begin: () => deeds.push("begin") } });
  const care = openCare(() => engine as unknown as Engine, NOTHING_KEPT);
  care.begin();
  await care.close();
  expect(deeds).not.toContain("begin");
  expect(deeds).not.toContain("copy");
});
