import { expect, test } from "vitest";
import { OPERATIONS, type StepName, stepRule } from "../../../hostd/states.ts";
import { crash, expectWhole, prepare, restartAndWait, versionOf, write } from "../../hostd/crash.ts";
import { withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };
const MOMENTS = ["before", "after"] as const;
const STEPS: readonly StepName[] = OPERATIONS.activate;

describeWith(NEEDS, "hostd killed with -9", () => {
  test("at any step of activate, then started again, ends in exactly the old or the new generation, running", () =>
    withRig(async (rig) => {
      await rig.publish({ version: versionOf(rig, 1), stable: 150 });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      const written: string[] = [];
      let number = 1;
      for (const step of STEPS) {
        for (const moment of MOMENTS) {
          number += 1;
          const name = `activate.${step}.${moment}`;
          await prepare(rig, "activate", number);
          written.push(await write(rig));
          const before = await rig.client.app("shop");
          await crash(rig, "activate", name, number);
          const ended = await restartAndWait(rig);
          const isNew = stepRule(step).afterCrash === "resume";
          expect({ name, state: ended.state, code: ended.reason?.code }).toEqual(
            isNew ? { name, state: "done", code: undefined } : { name, state: "failed", code: "interrupted" },
          );
          const expected = isNew ? { number: ended.to, state: "good" } : before.current;
          await expectWhole(rig, name, expected, written);
        }
      }
    }));
});
