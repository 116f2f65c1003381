import { describe, expect, test } from "vitest";
import { planRollback, type RollbackSituation, rollbackTarget } from "../../../../hostd/rollback/plan.ts";
import { planActivation } from "../../../../hostd/switch/plan.ts";
import { APP_LABEL } from "../../../../manifests/app.ts";
import type { Digest } from "../../../../manifests/digest.ts";
import type { ImageConfig } from "../../../../manifests/image.ts";

const [A, B, C] = ["a", "b", "c"].map((letter): Digest => `sha256:${letter.repeat(64)}`) as [Digest, Digest, Digest];

function config(format: number, reads?: string): ImageConfig {
  const data = [{ path: "/data", format, ...(reads === undefined ? {} : { reads }) }];
  const Labels = { [APP_LABEL]: JSON.stringify({ schema: 1, name: "shop", data }) };
  return { architecture: "amd64", os: "linux", config: { Labels }, rootfs: { type: "layers", diff_ids: [] } };
}

function slot(image: Digest, version: string, change: Partial<RollbackSituation["slots"][number]> = {}) {
  return { image, version, state: "good" as const, config: config(1, ">=1"), quarantined: false, ...change };
}

const GENERATIONS = [
  { number: 2, image: B, config: 2, state: "good" },
  { number: 1, image: A, config: 1, state: "good" },
];

/** B runs as generation 2 with config 2; A was good as generation 1 with config 1. */
function situation(change: Partial<RollbackSituation> = {}): RollbackSituation {
  const { generations = GENERATIONS } = change;
  return {
    generation: (number) => generations.find((one) => one.number === number),
    onceGood: (hex) => generations.filter(({ image }) => image.startsWith(`sha256:${hex}`)),
    configBefore: () => generations.find((one) => one.number === 1)?.config,
    app: "shop",
    current: { number: 2, image: B, config: 2 },
    hold: undefined,
    dataFormat: 1,
    snapshots: [
      {
        id: "before-g2",
        app: "shop",
        format: 1,
        operation: 2,
        generation: 1,
        reason: "",
        taken: "",
        consistency: "stopped",
      },
    ],
    nextGeneration: 3,
    slots: [slot(B, "1.1"), slot(A, "1.0")],
    generations,
    ...change,
  };
}

describe("planRollback", () => {
  test("moves binaries alone to the last good version with another image, and quarantines what is left", () => {
    expect(planRollback(situation(), {})).toEqual({
      image: A,
      version: "1.0",
      from: 2,
      to: 3,
      config: 2,
      snapshot: "before-g3",
      kept: "kept-g3",
      quarantine: "rolled back by command",
    });
  });

  test("takes config or data along when asked", () => {
    expect(planRollback(situation(), { withConfig: true }).config).toBe(1);
    expect(planRollback(situation(), { withData: "before-g2" }).restore).toBe("before-g2");
  });

  test("refuses data that is not what was recorded of it", () => {
    const digest = { value: "1", files: 1, bytes: 1, at: "", damaged: "2026-11-28T12:00:00.000Z" };
    const snapshots = situation().snapshots.map((snapshot) => ({ ...snapshot, digest }));
    expect(() => planRollback(situation({ snapshots }), { withData: "before-g2" })).toThrow(
      "snapshot before-g2 of shop: expected what was recorded, found other since 2026-11-28T12:00:00.000Z",
    );
  });

  test("config alone goes back to the one before, or to a version, and the image stays", () => {
    const given = situation({
      current: { number: 3, image: B, config: 3 },
      generations: [
        { number: 3, image: B, config: 3, state: "good" },
        { number: 2, image: B, config: 2, state: "failed" },
        ...situation().generations.slice(1),
      ],
    });
    expect(planRollback(given, { to: "current", withConfig: true })).toMatchObject({ image: B, config: 1 });
    expect(planRollback(given, { to: "current", withConfig: 2 })).toMatchObject({ image: B, config: 2 });
    expect(planRollback(given, { to: "current", withConfig: 2 })).not.toHaveProperty("quarantine");
    expect(planRollback(given, { withConfig: 7 })).toMatchObject({ image: A, config: 7 });
    expect(() => planRollback(situation({ generations: [] }), { to: "current", withConfig: true })).toThrow(
      expect.objectContaining({ code: "no-rollback-target" }),
    );
  });

  test.each([
    ["goes back to the version whose data it is", 1, {}, A],
    ["keeps the version that runs where it is that one's", 2, {}, B],
    ["keeps the version that runs where that one is quarantined", 1, { quarantined: true }, B],
    ["keeps the version that runs where that one failed", 1, { state: "failed" as const }, B],
  ])("with a snapshot and no target %s", (_title, generation, change, expected) => {
    const [snapshot] = situation().snapshots;
    if (snapshot === undefined) throw new Error("expected a snapshot");
    const given = situation({
      snapshots: [{ ...snapshot, generation }],
      slots: [slot(B, "1.1"), slot(A, "1.0", change)],
    });
    expect(planRollback(given, { withData: "before-g2" })).toMatchObject({ image: expected, restore: "before-g2" });
  });

  test("to the version that runs: data alone goes back, nothing is quarantined", () => {
    for (const to of ["2", "current"]) {
      const plan = planRollback(situation(), { to, withData: "before-g2" });
      expect(plan).toMatchObject({ image: B, config: 2, restore: "before-g2" });
      expect(plan).not.toHaveProperty("quarantine");
    }
  });

  test.each([["1"], ["sha256:aaaaaa"], ["aaaaaaaa"]])("accepts %s as a target", (to) => {
    expect(planRollback(situation(), { to }).image).toBe(A);
  });

  test("takes digits for a generation, and where there is no such one for the beginning of a digest", () => {
    const image: Digest = `sha256:${"2".repeat(64)}`;
    const given = situation({ slots: [slot(B, "1.1"), slot(A, "1.0"), slot(image, "0.9")] });
    expect(planRollback(given, { to: "222222" }).image).toBe(image);
    const generations = [{ number: 222_222, image: A, config: 1, state: "good" }];
    expect(planRollback({ ...given, generation: () => generations[0] }, { to: "222222" }).image).toBe(A);
  });

  test.each<[string, Partial<RollbackSituation>, Parameters<typeof planRollback>[1], string]>([
    [
      "there is no earlier good version",
      { generations: [{ number: 2, image: B, config: 2, state: "good" }] },
      {},
      "no-rollback-target",
    ],
    [
      "the earlier version was quarantined",
      { slots: [slot(B, "1.1"), slot(A, "1.0", { quarantined: true })] },
      {},
      "no-rollback-target",
    ],
    [
      "the version asked for was quarantined",
      { slots: [slot(B, "1.1"), slot(A, "1.0", { quarantined: true })] },
      { to: "1" },
      "quarantined",
    ],
    [
      "the version asked for failed here",
      { slots: [slot(B, "1.1"), slot(A, "1.0", { state: "failed" })] },
      { to: "1" },
      "quarantined",
    ],
    ["its slot was collected", { slots: [slot(B, "1.1")] }, { to: "1" }, "not-staged"],
    [
      "its slot was collected, and it is named by its digest",
      { slots: [slot(B, "1.1")] },
      { to: "aaaaaa" },
      "not-staged",
    ],
    ["two such digests were collected", { slots: [], onceGood: () => GENERATIONS }, { to: "aaaaaa" }, "unknown-image"],
    ["nobody knows the target", {}, { to: "7" }, "unknown-image"],
    ["nothing runs", { current: undefined }, { to: "current" }, "not-staged"],
    ["the digest is too short", {}, { to: "aaaaa" }, "unknown-image"],
    ["nobody knows the snapshot", {}, { withData: "before-g9" }, "unknown-snapshot"],
    [
      "it cannot read the data",
      { dataFormat: 2, slots: [slot(B, "1.1"), slot(A, "1.0", { config: config(1) })] },
      {},
      "data-format",
    ],
  ])("refuses when %s", (_title, change, request, code) => {
    expect(() => planRollback(situation(change), request)).toThrow(expect.objectContaining({ code }));
  });

  test("a refusal for the data's format names the snapshots that would make it possible, and the command", () => {
    const given = situation({ dataFormat: 2, slots: [slot(B, "1.1"), slot(A, "1.0", { config: config(1) })] });
    expect(() => planRollback(given, {})).toThrow(
      expect.objectContaining({
        message: "shop 1.0 reads format 1, the data is format 2",
        hint: "hostd rollback shop --to aaaaaaaaaaaa --with-data before-g2",
        details: { format: 2, reads: "format 1", snapshots: ["before-g2"] },
      }),
    );
    expect(planRollback(given, { withData: "before-g2" })).toMatchObject({ image: A, restore: "before-g2" });
  });
});

describe("planRollback to a snapshot that the version cannot read", () => {
  const [present] = situation().snapshots;
  const newer = situation({
    current: { number: 3, image: A, config: 1 },
    generations: [{ number: 3, image: A, config: 1, state: "good" }, ...GENERATIONS],
    snapshots: [{ ...present, id: "before-g3", format: 2, generation: 2 } as NonNullable<typeof present>],
    slots: [
      slot(A, "1.0", { config: config(1, ">=1 <2") }),
      slot(C, "2.1", { config: config(2) }),
      slot(B, "2.0", { config: config(2) }),
    ],
  });
  const request = { to: "current", withData: "before-g3" };

  test.each([
    ["the version whose data it is", newer, "hostd rollback shop --with-data before-g3"],
    [
      "another that reads it, where that one is refused here",
      { ...newer, slots: newer.slots.map((one) => ({ ...one, quarantined: one.image === B })) },
      "hostd rollback shop --to cccccccccccc --with-data before-g3",
    ],
    ["nothing, where none reads it", { ...newer, slots: newer.slots.slice(0, 1) }, "no version on this node reads it"],
  ])("is refused for what the snapshot is, and names %s", (_, given, hint) => {
    expect(() => planRollback(given, request)).toThrow(
      expect.objectContaining({
        code: "data-format",
        message: "shop 1.0 reads formats >=1 <2, snapshot before-g3 is format 2",
        hint,
      }),
    );
  });
});

test("rollbackTarget passes over failed generations, missing slots and the image that runs", () => {
  const generations = [
    { number: 4, image: B, config: 2, state: "good" },
    { number: 3, image: C, config: 2, state: "failed" },
    { number: 2, image: B, config: 2, state: "good" },
    { number: 1, image: A, config: 1, state: "good" },
  ];
  expect(rollbackTarget(situation({ generations }))?.number).toBe(1);
});

describe("planActivation", () => {
  test("of what runs already is nothing to do, unless hostd had stopped it", () => {
    const candidate = slot(B, "1.1");
    expect(planActivation(situation(), candidate, 2)).toBeUndefined();
    expect(planActivation(situation({ hold: "sick" }), candidate, 2)).toMatchObject({ to: 3, hold: "sick" });
    expect(planActivation(situation(), candidate, 3)).toMatchObject({ image: B, config: 3 });
  });

  test("on a node without data plans no snapshot", () => {
    const plan = planActivation(
      situation({ current: undefined, dataFormat: undefined, nextGeneration: 1 }),
      slot(A, "1.0"),
      1,
    );
    expect(plan).toEqual({ image: A, version: "1.0", config: 1, to: 1, kept: "kept-g1" });
  });

  test("refuses a version that failed here, and one that cannot read the data", () => {
    expect(() => planActivation(situation(), slot(C, "1.2", { state: "failed" }), 2)).toThrow(
      expect.objectContaining({ code: "quarantined" }),
    );
    expect(() => planActivation(situation({ dataFormat: 5 }), slot(C, "1.2", { config: config(1) }), 2)).toThrow(
      expect.objectContaining({ code: "data-format" }),
    );
  });
});
