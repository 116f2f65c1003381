import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ASKED_FOR,
  chooseDisplaced,
  chooseDue,
  POOL_GUARD,
  protectedSnapshots,
  type RoomInput,
  refuseFullPool,
} from "../../../../hostd/data/keep.ts";
import { parseTtl } from "../../../../hostd/data/ttl.ts";
import type { SnapshotDocument } from "../../../../manifests/snapshot.ts";

function snapshot(id: string, change: Partial<SnapshotDocument> = {}): SnapshotDocument {
  const about = {
    app: "shop",
    format: 1,
    operation: 1,
    taken: "2026-11-01T00:00:00Z",
    consistency: "stopped",
  } as const;
  return { ...about, id, reason: "before generation 2", ...change };
}

const ids = (kept: ReadonlyMap<string, string>) => [...kept.keys()];
const nothing: ReadonlyMap<string, string> = new Map();

describe("protectedSnapshots", () => {
  const snapshots = [
    snapshot("d", { generation: 3 }),
    snapshot("c", { generation: 2 }),
    snapshot("b", { generation: 2 }),
    snapshot("a", { generation: 1 }),
  ];

  test("the newest of the rollback target, those of pinned versions, those in use, each with why", () => {
    const given = { snapshots, target: 2, pinned: [1], inUse: [undefined, "d"] };
    expect([...protectedSnapshots(given)]).toEqual([
      ["d", "an operation under way needs it"],
      ["c", "it is the newest with the data of the rollback target, generation 2"],
      ["a", "it holds the data of generation 1, whose version is pinned"],
    ]);
  });

  test("nothing where there is no target: data of no known generation is nobody's", () => {
    const orphan = [snapshot("x")];
    expect(ids(protectedSnapshots({ snapshots: orphan, target: undefined, pinned: [], inUse: [] }))).toEqual([]);
  });
});

describe("chooseDue", () => {
  const now = new Date("2026-11-15T00:00:00Z");
  const over = { expires: "2026-11-15T00:00:00Z" };

  test("those whose time is over, the oldest first; never one that is kept or has no time", () => {
    const snapshots = [
      snapshot("e", { expires: "2026-11-15T00:00:01Z" }),
      snapshot("d", over),
      snapshot("c"),
      snapshot("b", over),
      snapshot("a", over),
    ];
    expect(chooseDue(snapshots, new Map([["b", "in use"]]), now)).toEqual(["a", "d"]);
  });
});

describe("chooseDisplaced", () => {
  const room = (change: Partial<RoomInput>): RoomInput => ({
    app: "shop",
    snapshots: [],
    kept: nothing,
    sizes: {},
    cost: 0,
    wayBack: 0,
    free: 1_000,
    reserve: 0,
    limits: { count: 3, bytes: undefined },
    ...change,
  });
  const three = [snapshot("c"), snapshot("b", { reason: ASKED_FOR }), snapshot("a")];

  test("as many of hostd's own as it takes, the oldest first", () => {
    expect(chooseDisplaced(room({ snapshots: three }))).toEqual(["a"]);
    expect(chooseDisplaced(room({ snapshots: three.slice(0, 2) }))).toEqual([]);
  });

  test("those asked for and protected ones stay; where that is not enough nothing goes", () => {
    const given = room({ snapshots: three, limits: { count: 1, bytes: undefined } });
    expect(() => chooseDisplaced(given)).toThrow(
      expect.objectContaining({
        code: "quota",
        outcome: "refused",
        hint: "hostd snapshot list shop shows them, hostd snapshot forget shop SNAPSHOT makes room",
      }),
    );
    const kept = new Map([["a", "in use"]]);
    expect(chooseDisplaced(room({ snapshots: three, kept }))).toEqual(["c"]);
  });

  test("bytes: what they give back and what is to come fit the quota, and the disk", () => {
    const sizes = { a: 400, b: 300, c: 200 };
    const given = { snapshots: three, sizes, cost: 100 };
    expect(chooseDisplaced(room({ ...given, limits: { count: 9, bytes: 1_000 } }))).toEqual([]);
    expect(chooseDisplaced(room({ ...given, limits: { count: 9, bytes: 999 } }))).toEqual(["a"]);
    expect(chooseDisplaced(room({ ...given, limits: { count: 9, bytes: 400 } }))).toEqual(["a", "c"]);
    const limits = { count: 9, bytes: undefined };
    expect(chooseDisplaced(room({ ...given, limits, free: 100 }))).toEqual([]);
    expect(chooseDisplaced(room({ ...given, limits, free: 99 }))).toEqual(["a"]);
    expect(() => chooseDisplaced(room({ ...given, limits, cost: 2_000 }))).toThrow(
      expect.objectContaining({ code: "no-space" }),
    );
    expect(chooseDisplaced(room({ ...given, limits, wayBack: 200, free: 300 }))).toEqual([]);
    expect(chooseDisplaced(room({ ...given, limits, wayBack: 201, free: 300 }))).toEqual(["a"]);
    expect(() => chooseDisplaced(room({ ...given, limits, wayBack: 2_000 }))).toThrow(
      "snapshot: expected 2100 bytes free (100 to take, 2000 to go back, 0 in reserve), got 1000, and 600 in older ones",
    );
    expect(chooseDisplaced(room({ ...given, limits, reserve: 200, free: 300 }))).toEqual([]);
    expect(chooseDisplaced(room({ ...given, limits, reserve: 201, free: 300 }))).toEqual(["a"]);
    expect(chooseDisplaced(room({ ...given, limits, cost: 0, reserve: 9_000 }))).toEqual([]);
  });

  test("what goes is hostd's own and unprotected, the rest fits, and one less would not", () => {
    const made = fc.array(fc.record({ asked: fc.boolean(), kept: fc.boolean(), size: fc.nat(500) }), { maxLength: 12 });
    const limits = fc.record({ count: fc.integer({ min: 1, max: 8 }), bytes: fc.option(fc.nat(2_000)) });
    fc.assert(
      fc.property(
        made,
        limits,
        fc.nat(800),
        fc.nat(400),
        fc.nat(800),
        (given, { count, bytes }, cost, wayBack, free) => {
          const snapshots = given.map(({ asked }, index) => snapshot(`s${index}`, asked ? { reason: ASKED_FOR } : {}));
          const kept = new Map<string, string>(
            given.flatMap((one, index) => (one.kept ? [[`s${index}`, "kept"]] : [])),
          );
          const sizes: Record<string, number> = Object.fromEntries(given.map(({ size }, index) => [`s${index}`, size]));
          const input = {
            app: "shop",
            snapshots,
            kept,
            sizes,
            cost,
            wayBack,
            free,
            reserve: 0,
            limits: { count, bytes: bytes ?? undefined },
          };
          const mayGo = (id: string) => !kept.has(id) && snapshots.find((one) => one.id === id)?.reason !== ASKED_FOR;
          const fits = (gone: readonly string[]) => {
            const left = snapshots.filter(({ id }) => !gone.includes(id));
            const held = left.reduce((sum, { id }) => sum + (sizes[id] ?? 0), 0);
            const freed = gone.reduce((sum, id) => sum + (sizes[id] ?? 0), 0);
            const hasRoom = cost + wayBack <= free + freed;
            return left.length < count && held + cost <= (bytes ?? Number.POSITIVE_INFINITY) && hasRoom;
          };
          try {
            const gone = chooseDisplaced(input);
            expect(gone.every(mayGo)).toBe(true);
            expect(fits(gone)).toBe(true);
            if (gone.length > 0) expect(fits(gone.slice(0, -1))).toBe(false);
          } catch (error) {
            expect(error).toMatchObject({ outcome: "refused" });
            expect(fits(snapshots.map(({ id }) => id).filter(mayGo))).toBe(false);
          }
        },
      ),
    );
  });
});

test("refuseFullPool: at the guard, data or metadata, and never below it", () => {
  const pool = (data: number, metadata: number) => ({ name: "vg/pool", data, metadata });
  expect(() => refuseFullPool(undefined)).not.toThrow();
  expect(() => refuseFullPool(pool(POOL_GUARD - 0.001, POOL_GUARD - 0.001))).not.toThrow();
  for (const full of [pool(POOL_GUARD, 0), pool(0.1, 0.93)]) {
    expect(() => refuseFullPool(full)).toThrow(expect.objectContaining({ code: "no-space", outcome: "refused" }));
  }
  expect(() => refuseFullPool(pool(0.1, 0.93))).toThrow(
    "thin pool vg/pool: expected less than 80 %, got data 10 %, metadata 93 %",
  );
});

test("parseTtl: minutes, hours, days, never; nothing else", () => {
  expect(["30m", "36h", "14d", "never"].map((text) => parseTtl(text))).toEqual([
    1_800_000,
    129_600_000,
    1_209_600_000,
    undefined,
  ]);
  for (const bad of ["", "0d", "14", "d", "1.5h", "-1d", "1000000d", "14 d", "Never"]) {
    expect(() => parseTtl(bad)).toThrow(expect.objectContaining({ code: "bad-request" }));
  }
});
