import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openContext } from "../../../hostd/operations/context.ts";
import { bundlePath, keepFailure } from "../../../hostd/rollback/bundle.ts";
import { withEngine } from "../../hostd/in-process.ts";
import { withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const reason = { outcome: "failed", code: "job-failed", message: "exit code 3" } as const;

describeWith({ root: true, programs: ["bwrap", "perl", "losetup"] }, "failure bundles", () => {
  test("of each app the newest fifty are kept: a job that fails every hour fills no disk", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0" });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await rig.stop();
      await withEngine(rig, async ({ engine }) => {
        const { operations } = engine.journal;
        const fail = (app: string, number: number) => {
          const begun = { requestId: `${app}-${number}`, kind: "run", app, caller: "test", plan: {} } as const;
          const operation = operations.begin(begun);
          operations.fail(operation.id, { reason, reverted: false });
          writeFileSync(bundlePath(engine, operation.id), "{}");
          return operation;
        };
        const other = fail("mail", 1);
        const all = Array.from({ length: 60 }, (_, number) => fail("shop", number));
        const newest = operations.begin({ requestId: "newest", kind: "run", app: "shop", caller: "test", plan: {} });
        await keepFailure(openContext(engine, newest, engine.closing), reason);
        operations.fail(newest.id, { reason, reverted: false });
        const kept = readdirSync(join(rig.state, "failures")).map((name) => Number.parseInt(name, 10));
        const expected = [other.id, ...all.slice(-49).map(({ id }) => id), newest.id];
        expect(kept.sort((a, b) => a - b)).toEqual(expected);
      });
    }));
});
