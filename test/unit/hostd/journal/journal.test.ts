import { describe, expect, test } from "vitest";
import { HostdError } from "../../../../hostd/error.ts";
import { brokenEvent } from "../../../../hostd/journal/events.ts";
import { type Journal, openJournal } from "../../../../hostd/journal/journal.ts";
import {
  GENERATION_TRANSITIONS,
  type GenerationAction,
  OPERATION_TRANSITIONS,
  type OperationAction,
  SLOT_TRANSITIONS,
  type SlotAction,
} from "../../../../hostd/states.ts";
import type { Digest } from "../../../../manifests/digest.ts";
import { type EventKind, parseEvent } from "../../../../manifests/event.ts";
import { GENERATION_STATES, OPERATION_STATES, SLOT_STATES } from "../../../../manifests/node.ts";

const image: Digest = `sha256:${"a".repeat(64)}`;
const other: Digest = `sha256:${"b".repeat(64)}`;
const failure = { outcome: "failed" as const, code: "unhealthy", message: "503" };
const manifest = JSON.stringify({
  schemaVersion: 2,
  config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: image, size: 1 },
  layers: [],
});
const config = JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } });

function journal(): Journal {
  return openJournal(":memory:", () => new Date("2026-11-21T08:00:00Z"));
}

/** Begins an operation that holds both locks of `shop`. */
function begin(opened: Journal, requestId: string = crypto.randomUUID()): number {
  const { id } = opened.operations.begin({ requestId, kind: "deploy", app: "shop", caller: "test", plan: {} });
  opened.operations.lock(id, "switch");
  return id;
}

function basis(declared: Record<string, string>, revision = 0) {
  return { declared, revision };
}

function stage(opened: Journal, operation: number, digest = image, sequence = 1): void {
  const about = { sequence, version: "1.0.0", channel: "production", declared: {} };
  opened.slots.stage(operation, { app: "shop", image: digest, ...about, manifest, config });
}

/** How a slot gets into each state, by legal actions. */
const SLOT_PATHS: Record<(typeof SLOT_STATES)[number], SlotAction[]> = {
  staged: [],
  trial: ["try"],
  good: ["try", "bless"],
  failed: ["try", "condemn"],
};

describe("slots", () => {
  const actions = (Object.keys(SLOT_TRANSITIONS) as SlotAction[]).filter(
    (action) => action !== "stage" && action !== "release",
  );
  const pairs = SLOT_STATES.flatMap((state) => actions.map((action) => [state, action] as const));

  test.each(pairs)("what is %s: %s happens as the table says, or throws and changes nothing", (state, action) => {
    const opened = journal();
    const id = begin(opened);
    stage(opened, id);
    const move = (step: SlotAction) =>
      opened.slots.move(id, "shop", image, step as Exclude<SlotAction, "stage" | "release">);
    SLOT_PATHS[state].forEach(move);
    const { from, to } = SLOT_TRANSITIONS[action] as { from: readonly string[]; to: string };
    if (!from.includes(state)) {
      expect(() => move(action)).toThrow(expect.objectContaining({ code: "illegal-transition" }));
      expect(opened.slots.get("shop", image)?.state).toBe(state);
      return;
    }
    move(action);
    expect(opened.slots.get("shop", image)?.state ?? "absent").toBe(to);
  });

  test("only a failed version is released", () => {
    const opened = journal();
    const id = begin(opened);
    stage(opened, id);
    expect(() => opened.slots.release("shop", image)).toThrow(HostdError);
    opened.slots.move(id, "shop", image, "try");
    opened.slots.move(id, "shop", image, "condemn");
    opened.slots.release("shop", image);
    expect(opened.slots.get("shop", image)?.state).toBe("staged");
  });
});

describe("generations", () => {
  const actions = (Object.keys(GENERATION_TRANSITIONS) as GenerationAction[]).filter((action) => action !== "try");
  const pairs = GENERATION_STATES.flatMap((state) => actions.map((action) => [state, action] as const));
  const reach = { trial: undefined, good: "bless", failed: "condemn", withdrawn: "withdraw" } as const;

  test.each(pairs)("what is %s: %s happens as the table says, or throws and changes nothing", (state, action) => {
    const opened = journal();
    const id = begin(opened);
    const generation = { app: "shop", number: 1, image, version: "1.0.0", config: 1, data: undefined };
    opened.generations.begin(id, generation);
    const path = reach[state];
    if (path !== undefined) opened.generations.move(id, "shop", 1, path);
    const { from, to } = GENERATION_TRANSITIONS[action] as { from: readonly string[]; to: string };
    const move = () => opened.generations.move(id, "shop", 1, action as "bless");
    if (from.includes(state)) move();
    else expect(move).toThrow(expect.objectContaining({ code: "illegal-transition" }));
    expect(opened.generations.get("shop", 1)?.state).toBe(from.includes(state) ? to : state);
  });

  test("a number is never used twice, not even that of an operation which got nowhere", () => {
    const opened = journal();
    expect(opened.generations.nextNumber("shop")).toBe(1);
    const id = begin(opened);
    opened.operations.setPlan(id, { switch: { to: 4 } });
    expect(opened.generations.nextNumber("shop")).toBe(5);
    expect(opened.generations.nextNumber("other")).toBe(1);
  });

  test("a number that was planned is not used again, however many operations planned none since", () => {
    const opened = journal();
    const id = begin(opened);
    opened.operations.setPlan(id, { switch: { to: 4 } });
    opened.operations.finish(id);
    for (const plan of [{}, { switch: { from: 3, to: 3 } }]) {
      for (let count = 0; count < 50; count++) {
        const later = begin(opened);
        opened.operations.setPlan(later, plan); // of nothing, or of what runs already, as a snapshot's is
        opened.operations.finish(later);
      }
    }
    expect(opened.generations.nextNumber("shop")).toBe(5);
  });

  test("whose config was left for an earlier one is not what is gone back to: going back twice leads two back", () => {
    const opened = journal();
    const id = begin(opened);
    const before = [1, 2, 3, 2, 4, 2, 1].map((config, index) => {
      const number = index + 1;
      opened.generations.begin(id, { app: "shop", number, image, version: "1.0.0", config, data: undefined });
      opened.generations.move(id, "shop", number, "bless");
      return opened.generations.configBefore("shop", number);
    });
    expect(before).toEqual([undefined, 1, 2, 1, 2, 1, undefined]);
  });

  test("of a long history each question is answered by the few that matter", () => {
    const opened = journal();
    const id = begin(opened);
    const history = [
      [image, 1, "bless"],
      [image, 1, "bless"],
      [other, 1, "bless"],
      [image, 2, "condemn"],
      [image, 2, "bless"],
      [image, 2, "bless"],
    ] as const;
    for (const [index, [digest, config, end]] of history.entries()) {
      const version = digest === image ? "1.0.0" : "0.9.0";
      const generation = { app: "shop", number: index + 1, image: digest, version, config, data: undefined };
      opened.generations.begin(id, generation);
      opened.generations.move(id, "shop", generation.number, end);
    }
    stage(opened, id, image);
    const { generations } = opened;
    expect(generations.ofSlots("shop").map(({ number }) => number)).toEqual([6, 4]); // the other one is gone
    expect(generations.ofSlots("other")).toEqual([]);
    expect(generations.goodBefore("shop", 6)?.number).toBe(5);
    expect(generations.goodBefore("shop", 5)?.number).toBe(3); // the one before it failed
    expect(generations.configBefore("shop", 6)).toBe(1);
    expect(generations.goodBefore("shop", 1)).toBeUndefined();
    expect(generations.numbersOf("shop", other)).toEqual([3]);
    expect(generations.newestOf("shop", "1.0.0", undefined)?.number).toBe(6);
    expect(generations.newestOf("shop", "bbbbbb", "sha256:bbbbbb")?.number).toBe(3);
    expect(generations.newestOf("shop", "bbbbbb", undefined)).toBeUndefined();
  });

  test("how a revision of the config fared is told by the first of each kind; versions that are here name the rest", () => {
    const opened = journal();
    const id = begin(opened);
    const configs = [3, 5, 5].map((revision) => opened.generations.configVersion("shop", basis({}, revision)));
    for (const [index, config] of [...configs, ...configs].entries()) {
      const generation = { app: "shop", number: index + 1, image, version: "1.0.0", config, data: undefined };
      opened.generations.begin(id, generation);
      opened.generations.move(id, "shop", generation.number, index === 4 ? "condemn" : "bless");
    }
    expect(opened.generations.revisionsOfSlots("shop")).toEqual([]);
    stage(opened, id, image);
    expect(opened.generations.revisionsOfSlots("shop").sort()).toEqual([3, 5]);
    expect(opened.generations.past("shop", 5)).toEqual([
      { number: 5, revision: 5, state: "failed", alone: false },
      { number: 2, revision: 5, state: "good", alone: false },
    ]);
    expect(opened.generations.past("shop", 4)).toEqual([]);
  });

  test("the same declared values are the same config version, whatever their order", () => {
    const opened = journal();
    expect(opened.generations.configVersion("shop", basis({ a: "1", b: "2" }))).toBe(1);
    expect(opened.generations.configVersion("shop", basis({ a: "2" }))).toBe(2);
    expect(opened.generations.configVersion("shop", basis({ b: "2", a: "1" }))).toBe(1);
    expect(opened.generations.configVersion("shop", basis({ a: "2" }, 4))).toBe(3);
    expect(opened.generations.config("shop", 2)).toEqual(basis({ a: "2" }));
    expect(() => opened.generations.config("shop", 9)).toThrow("shop has no config version 9");
  });
});

describe("operations", () => {
  const actions = (Object.keys(OPERATION_TRANSITIONS) as OperationAction[]).filter((action) => action !== "begin");
  const pairs = OPERATION_STATES.flatMap((state) => actions.map((action) => [state, action] as const));

  test.each(pairs)("what is %s: %s happens as the table says, or throws and changes nothing", (state, action) => {
    const opened = journal();
    const id = begin(opened);
    const act = {
      finish: () => opened.operations.finish(id),
      revert: () => opened.operations.revert(id, failure),
      fail: () => opened.operations.fail(id, { reason: failure, reverted: false }),
    };
    if (state === "done") act.finish();
    if (state === "failed") act.fail();
    if (state === "reverting") act.revert();
    const { from, to } = OPERATION_TRANSITIONS[action] as { from: readonly string[]; to: string };
    const wanted = act[action as keyof typeof act];
    if (from.includes(state)) wanted();
    else expect(wanted).toThrow(expect.objectContaining({ code: "illegal-transition" }));
    expect(opened.operations.get(id)?.state).toBe(from.includes(state) ? to : state);
  });

  test("a second writer of an app is told who holds it; once that ended, it may", () => {
    const opened = journal();
    const id = begin(opened);
    expect(() => begin(opened)).toThrow(
      expect.objectContaining({ code: "busy", details: expect.objectContaining({ operation: id }) }),
    );
    expect(opened.operations.unfinished().map((operation) => operation.id)).toEqual([id]);
    opened.operations.finish(id);
    expect(begin(opened)).toBeGreaterThan(id);
  });

  test("staging one version and switching to another do not stop each other; two stagings do", () => {
    const opened = journal();
    const common = { app: "shop", caller: "test", plan: {} };
    opened.operations.begin({ ...common, requestId: "1", kind: "stage" });
    opened.operations.begin({ ...common, requestId: "2", kind: "activate" });
    opened.operations.begin({ ...common, app: "other", requestId: "3", kind: "stage" });
    expect(() => opened.operations.refuseBusy("shop", "stage")).toThrow(/shop is busy: operation 1/);
    expect(() => opened.operations.refuseBusy("shop", "rollback")).toThrow(/shop is busy: operation 2/);
  });

  test.each([
    ["point", (opened: Journal, id: number) => opened.apps.point(id, "shop", { current: 1, previous: undefined })],
    ["hold", (opened: Journal, id: number) => opened.apps.hold(id, "shop", "sick")],
    ["accept", (opened: Journal, id: number) => opened.apps.accept(id, "shop", { image, version: "1", sequence: 1 })],
    ["stage", (opened: Journal, id: number) => stage(opened, id)],
    ["setData", (opened: Journal, id: number) => opened.apps.setData(id, "shop", { format: 2 })],
  ])("%s without the app's lock throws and writes nothing", (_name, write) => {
    const opened = journal();
    expect(() => write(opened, 7)).toThrow(expect.objectContaining({ code: "lock-not-held" }));
    expect(opened.apps.list()).toEqual([]);
    expect(opened.slots.list("shop")).toEqual([]);
  });

  test("a transaction that throws leaves nothing behind", () => {
    const opened = journal();
    const work = () =>
      opened.transaction(() => {
        begin(opened, "half");
        throw new Error("power cut");
      });
    expect(work).toThrow("power cut");
    expect(opened.operations.byRequest("half")).toBeUndefined();
    expect(opened.events.list({ limit: 10 })).toEqual([]);
  });
});

describe("quarantine", () => {
  const third: Digest = `sha256:${"c".repeat(64)}`;
  const quarantined = (opened: Journal) => opened.quarantine.list().map((entry) => entry.image);

  test("holds until it is released", () => {
    const opened = journal();
    const id = begin(opened);
    opened.quarantine.add(id, "shop", image, "503");
    opened.quarantine.add(id, "shop", other, "ended");
    expect(() => opened.quarantine.refuse("shop", image)).toThrow(/aaaaaaaaaaaa is quarantined on this node: 503/);
    expect(opened.quarantine.release(image, "ann")).toBe(true);
    expect(opened.quarantine.release(image, "ann")).toBe(false);
    expect(() => opened.quarantine.refuse("shop", image)).not.toThrow();
    expect(quarantined(opened)).toEqual([other]);
  });

  test("is history once a newer version became good, and no older one takes its place", () => {
    const opened = journal();
    const id = begin(opened);
    const accept = (digest: Digest, sequence: number) => {
      stage(opened, id, digest, sequence);
      opened.apps.accept(id, "shop", { image: digest, version: "1.0.0", sequence });
    };
    accept(image, 1);
    accept(other, 2);
    opened.quarantine.add(id, "shop", other, "503");
    opened.quarantine.supersede(id, "shop", image);
    expect(quarantined(opened)).toEqual([other]);
    for (const action of ["try", "condemn", "collect"] as const) opened.slots.move(id, "shop", other, action);
    opened.quarantine.supersede(id, "shop", image);
    expect(quarantined(opened)).toEqual([other]);
    accept(third, 3);
    opened.quarantine.supersede(id, "shop", third);
    expect(quarantined(opened)).toEqual([]);
  });
});

describe("events", () => {
  test("read page by page none is missed; without a beginning the newest are told", () => {
    const opened = journal();
    for (const number of [1, 2, 3, 4, 5]) opened.events.append("app.sick", { app: "shop", detail: { number } });
    const ids = (after?: number) => opened.events.list({ after, limit: 2 }).map(({ id }) => id);
    expect([ids(0), ids(2), ids(4), ids(5)]).toEqual([[1, 2], [3, 4], [5], []]);
    expect(ids()).toEqual([4, 5]);
  });

  test("of a kind that only a newer hostd knows are told like any other, as after a revert to this one", () => {
    const opened = journal();
    opened.events.append("app.dancing" as EventKind, { app: "shop" });
    opened.events.append("app.sick", { app: "shop" });
    const told = opened.events.list({ limit: 10 });
    expect(told.map(({ kind }) => kind)).toEqual(["app.dancing", "app.sick"]);
    expect(told.map((event) => parseEvent(event))).toEqual(told);
  });

  test("each names the hash of the one before: what is changed or left out shows", () => {
    const opened = journal();
    for (const number of [1, 2, 3, 4]) opened.events.append("app.sick", { app: "shop", detail: { number } });
    const events = opened.events.list({ limit: 10 });
    expect(events.map(({ id }) => id)).toEqual([1, 2, 3, 4]);
    expect(brokenEvent(events)).toBeUndefined();
    expect(brokenEvent(events.filter(({ id }) => id !== 2))).toBe(3);
    const changed = events.map((event) => (event.id === 3 ? { ...event, detail: { number: 9 } } : event));
    expect(brokenEvent(changed)).toBe(3);
  });
});
