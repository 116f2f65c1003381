import { StatementSync } from "node:sqlite";
import { afterEach, expect, test, vi } from "vitest";
import { toStatus } from "../../../../hostd/api/documents.ts";
import { readLogOf } from "../../../../hostd/api/logs.ts";
import { protectedOf } from "../../../../hostd/data/forget.ts";
import type { Engine } from "../../../../hostd/engine.ts";
import { planPrune } from "../../../../hostd/retention/prune.ts";
import { withEngine } from "../../../hostd/in-process.ts";
import { withRig } from "../../../hostd/rig.ts";
import { describeWith } from "../../../needs.ts";

afterEach(() => vi.restoreAllMocks());

const MANY = 5_000;

/** What a node does day by day, each by its name. */
const DEEDS: Record<string, (engine: Engine) => unknown> = {
  status: toStatus,
  logs: (engine) => readLogOf(engine, "shop", { slot: "1.0.0" }),
  snapshots: (engine) => protectedOf(engine, "shop"),
  prune: (engine) => planPrune(engine, 3),
  restart: (engine) => operate(engine, () => engine.submit.restart({ app: "shop", by: "a test" })),
  rollback: (engine) => operate(engine, () => engine.submit.rollback({ app: "shop", by: "a test" })),
  activate: (engine) => operate(engine, () => engine.submit.activate({ app: "shop", by: "a test" })),
};

describeWith({ root: true, programs: ["bwrap", "perl", "losetup"] }, "a node with a long history", () => {
  test("reads as much of the journal with thousands of generations as with a few", () =>
    withRig(async (rig) => {
      await rig.start();
      for (const version of ["1.0.0", "1.1.0"]) {
        await rig.publish({ version, stable: 50 });
        expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      }
      await rig.stop();
      await withEngine(rig, async ({ engine }) => {
        const rowsAfter = async (generations: number) => {
          remember(engine, generations);
          return await rowsReadBy(engine);
        };
        await rowsAfter(10); // the first of each deed finds less to do
        const few = await rowsAfter(10);
        const many = await rowsAfter(MANY);
        expect(Object.keys(many)).toContain("status");
        for (const [deed, rows] of Object.entries(many)) expect(rows - (few[deed] ?? 0), deed).toBeLessThan(MANY / 50);
      });
    }));
});

async function operate(engine: Engine, begin: () => { id: number }): Promise<void> {
  const { id } = begin();
  await engine.submit.settled();
  const ended = engine.journal.operations.get(id);
  if (ended?.state !== "done") throw new Error(`${ended?.kind} is ${ended?.state}: ${ended?.reason?.message}`);
  for (const { image } of engine.journal.quarantine.list()) engine.journal.quarantine.release(image, "a test");
}

/** Restarts that went well, as the journal knows them. */
function remember(engine: Engine, count: number): void {
  const { apps, generations, operations, transaction } = engine.journal;
  transaction(() => {
    for (let left = count; left > 0; left--) {
      const before = generations.require("shop", apps.get("shop")?.current ?? 0);
      const number = generations.nextNumber("shop");
      const { id } = operations.begin({
        requestId: `${number}`,
        kind: "restart",
        app: "shop",
        caller: "a test",
        plan: { switch: { to: number } },
      });
      generations.begin(id, { ...before, number, data: undefined });
      generations.move(id, "shop", number, "bless");
      apps.point(id, "shop", { current: number, previous: before.number });
      operations.finish(id);
    }
  });
}

/** Rows of what an app ran and of what was done to it; a copy of the journal, made beside, reads all there is. */
async function rowsReadBy(engine: Engine): Promise<Record<string, number>> {
  const rows: Record<string, number> = {};
  const { all } = StatementSync.prototype;
  let deed = "";
  vi.spyOn(StatementSync.prototype, "all").mockImplementation(function (this: StatementSync, ...parameters) {
    const found = all.apply(this, parameters);
    if (/\b(?:generations|operations|configs)\b/.test(this.sourceSQL)) rows[deed] = (rows[deed] ?? 0) + found.length;
    return found;
  });
  for (const [name, work] of Object.entries(DEEDS)) {
    deed = name;
    await work(engine);
  }
  vi.restoreAllMocks();
  return rows;
}
