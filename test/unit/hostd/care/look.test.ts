import { expect, test } from "vitest";
import { openCare } from "../../../../hostd/care/care.ts";
import type { Engine } from "../../../../hostd/engine.ts";

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
  const engine = { journal, clock, settings, closing: closing.signal, log: () => {} } as unknown as Engine;
  const care = openCare(() => engine);
  await new Promise((resolve) => setImmediate(resolve));
  await care.close();
  expect(looks).toBe(3);
  expect(care.lastLook()?.problems).toEqual([
    "journal not verified: disk I/O error",
    "versions not looked after: disk I/O error",
    "snapshots not looked after: disk I/O error",
    "channel not followed: disk I/O error",
    "journal not copied: disk I/O error",
  ]);
});
