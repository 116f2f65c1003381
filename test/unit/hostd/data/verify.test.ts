import { expect, test } from "vitest";
import { verifySnapshot } from "../../../../hostd/data/verify.ts";
import type { Engine } from "../../../../hostd/engine.ts";
import { HostdError } from "../../../../hostd/error.ts";
import type { RecordedDigest } from "../../../../manifests/snapshot.ts";

const FOUND = { value: "found", files: 1, bytes: 1 };

interface Reading {
  /** What the journal knows of snapshots. */
  known: Map<string, { digest?: RecordedDigest }>;
  wait: (bytes: number) => Promise<void>;
  /** Asks hostd to end. */
  close: () => void;
}

/** One snapshot, `one`, that nobody has read; `onRead` is called while it is read. */
function engineOf(onRead: (reading: Reading) => unknown) {
  const closing = new AbortController();
  const told: string[] = [];
  const known: Reading["known"] = new Map([["one", {}]]);
  const engine = {
    clock: { date: () => new Date(0) },
    closing: closing.signal,
    journal: {
      snapshots: {
        require(_app: string, id: string) {
          const found = known.get(id);
          if (found === undefined) throw new HostdError("unknown-snapshot", `no ${id}`);
          return found;
        },
        record: (_app: string, id: string, digest: RecordedDigest) => known.set(id, { digest }),
        damage: (_app: string, _id: string, since: string | undefined) => told.push(`damaged since ${since}`),
      },
      events: { append: (kind: string) => told.push(kind) },
    },
    node: {
      async digestSnapshot(_app: string, _id: string, wait: Reading["wait"]) {
        await onRead({ known, wait, close: () => closing.abort() });
        return FOUND;
      },
    },
    log: () => {},
  };
  return { engine: engine as unknown as Engine, told, known };
}

test("the first whole reading is the record", async () => {
  const { engine, told, known } = engineOf(() => {});
  expect(await verifySnapshot(engine, "shop", "one")).toMatchObject({ outcome: "recorded" });
  expect(known.get("one")?.digest).toMatchObject(FOUND);
  expect(await verifySnapshot(engine, "shop", "one")).toMatchObject({ outcome: "same" });
  expect(told).toEqual([]);
});

test("what another reading recorded meanwhile is what this one is compared with", async () => {
  const other = { ...FOUND, value: "other", at: "" };
  const { engine, told, known } = engineOf(({ known }) => known.set("one", { digest: other }));
  expect(await verifySnapshot(engine, "shop", "one")).toMatchObject({ outcome: "differs", recorded: other });
  expect(known.get("one")?.digest).toBe(other);
  expect(told).toEqual(["damaged since 1970-01-01T00:00:00.000Z", "snapshot.damaged"]);
});

test("nothing is recorded of one that was forgotten meanwhile", async () => {
  const { engine, known } = engineOf(({ known }) => known.clear());
  await expect(verifySnapshot(engine, "shop", "one")).rejects.toMatchObject({ code: "unknown-snapshot" });
  expect([...known]).toEqual([]);
});

test("hostd does not read on when it is asked to end, and records nothing", async () => {
  let pieces = 0;
  const { engine, known } = engineOf(async ({ wait, close }) => {
    close();
    for (; pieces < 1_000; pieces++) await wait(1);
  });
  await expect(verifySnapshot(engine, "shop", "one")).rejects.toMatchObject({ code: "interrupted" });
  expect(pieces).toBe(0);
  expect(known.get("one")).toEqual({});
});
