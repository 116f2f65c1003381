import { expect, test } from "vitest";
import { careForSnapshots, readNewSnapshots } from "../../../../hostd/data/care-for-snapshots.ts";
import type { Engine } from "../../../../hostd/engine.ts";
import type { Plan } from "../../../../hostd/operations/plan.ts";
import { digestFromHex } from "../../../../manifests/digest.ts";

const PLAN: Plan["switch"] = {
  image: digestFromHex("a".repeat(64)),
  version: "1.1.0",
  from: 1,
  to: 2,
  config: 0,
  snapshot: "before-g2",
  kept: "kept-g2",
};

test("the background reads no snapshot that an operation under way may have to forget, and does so after it", async () => {
  const read: string[] = [];
  const unfinished = [{ id: 1, plan: { switch: PLAN } }];
  const engine = {
    clock: { date: () => new Date(0) },
    closing: new AbortController().signal,
    journal: {
      apps: { list: () => [{ app: "shop" }] },
      operations: { unfinished: () => unfinished },
      snapshots: {
        list: () => [{ id: "before-g2" }, { id: "asked-1" }],
        require: (_app: string, id: string) => ({ id }),
        record: () => {},
      },
    },
    node: {
      async digestSnapshot(_app: string, id: string) {
        read.push(id);
        return { value: id, files: 0, bytes: 0 };
      },
    },
  } as unknown as Engine;
  await readNewSnapshots(engine, async () => {});
  expect(read.splice(0)).toEqual(["asked-1"]);
  unfinished.pop();
  await readNewSnapshots(engine, async () => {});
  expect(read).toEqual(["before-g2", "asked-1"]);
});

test("snapshots that cannot go are told, and keep those of no other app", async () => {
  const forgotten: string[] = [];
  const engine = {
    clock: { date: () => new Date("2026-03-01") },
    journal: {
      apps: { list: () => [{ app: "ill" }, { app: "shop" }], get: () => undefined },
      operations: { unfinished: () => [] },
      generations: { get: () => undefined, ofSlots: () => [], nextNumber: () => 3 },
      slots: { list: () => [] },
      snapshots: {
        list: () => [{ id: "before-g2", expires: "2026-01-01T00:00:00.000Z" }],
        leaving: () => ["before-g1"],
        remove: () => {},
      },
    },
    node: {
      snapshotsBeingRead: () => [],
      async forget(app: string, id: string) {
        if (app === "ill") throw new Error("a disk is mounted in it");
        forgotten.push(`${app} ${id}`);
      },
    },
  } as unknown as Engine;
  const told: string[] = [];
  const attempt = async (what: string, work: () => unknown) => {
    await Promise.resolve(work()).catch((error: Error) => told.push(`${what}: ${error.message}`));
  };
  const due = await careForSnapshots(engine, new Set(), attempt);
  expect([...due]).toEqual(["ill before-g2", "shop before-g2"]);
  expect(told).toEqual(["snapshots of ill not forgotten: a disk is mounted in it"]);
  expect(forgotten).toEqual(["shop before-g1"]);
});
