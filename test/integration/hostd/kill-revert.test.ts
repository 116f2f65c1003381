import { expect, test } from "vitest";
import { OPERATIONS, stepRule } from "../../../hostd/states.ts";
import { crash, expectWhole, restartAndWait, versionOf, write } from "../../hostd/crash.ts";
import { withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };
const MOMENTS = ["before", "after"] as const;

describeWith(NEEDS, "hostd killed with -9", () => {
  test("while it takes a sick version back, then started again, ends in the old generation with the data kept", () =>
    withRig(async (rig) => {
      await rig.publish({ version: versionOf(rig, 1), stable: 150 });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      const before = (await rig.client.app("shop")).current;
      const written: string[] = [];
      const undone = OPERATIONS.activate.filter((step) => stepRule(step).undo !== undefined);
      let number = 1;
      for (const step of undone) {
        for (const moment of MOMENTS) {
          number += 1;
          const name = `activate.${step}.undo.${moment}`;
          await rig.publish({ version: versionOf(rig, number), how: "sick", within: 200, stable: 150 });
          expect(await rig.operate("stage")).toMatchObject({ state: "done" });
          written.push(await write(rig));
          await crash(rig, "activate", name, number);
          const ended = await restartAndWait(rig);
          expect({ name, state: ended.state, code: ended.reason?.code, reverted: ended.reverted }).toEqual({
            name,
            state: "failed",
            code: "unhealthy",
            reverted: true,
          });
          await expectWhole(rig, name, before, written);
        }
      }
    }));

  test("at any step of staging, then started again, goes on by itself and the version is staged", () =>
    withRig(async (rig) => {
      await rig.publish({ version: versionOf(rig, 1), stable: 150 });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      const before = (await rig.client.app("shop")).current;
      const written = [await write(rig)];
      let number = 1;
      for (const step of OPERATIONS.stage) {
        for (const moment of MOMENTS) {
          number += 1;
          const name = `stage.${step}.${moment}`;
          const published = await rig.publish({ version: versionOf(rig, number), stable: 150 });
          await crash(rig, "stage", name, number);
          const ended = await restartAndWait(rig);
          expect({ name, state: ended.state }).toEqual({ name, state: "done" });
          const { slots } = await rig.client.app("shop");
          expect(slots[0]).toMatchObject({ image: published.image, state: "staged" });
          await expectWhole(rig, name, before, written);
        }
      }
    }));
});
