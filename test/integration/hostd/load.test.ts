import { expect, test } from "vitest";
import { PATIENCE } from "../../hostd/publisher.ts";
import { type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "requests to an app with LISTEN", () => {
  test("are all answered while versions are switched, taken back by command and taken back by themselves", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0", timeout: PATIENCE });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      const load = startRecording(rig);
      await rig.publish({ version: "1.1.0", stable: 200, timeout: PATIENCE });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      expect(await rig.operate("rollback")).toMatchObject({ state: "done" });
      await rig.publish({ version: "1.2.0", how: "sick", within: 500, timeout: PATIENCE });
      expect(await rig.operate("deploy")).toMatchObject({ state: "failed", reverted: true });
      const { acknowledged, failed } = await load.end();
      expect(failed).toEqual([]);
      expect(acknowledged.length).toBeGreaterThan(50);
      const kept = (await rig.records()).map((line) => Number.parseInt(line, 10));
      expect(acknowledged.filter((number) => !kept.includes(number))).toEqual([]);
      expect(kept).toEqual(kept.map((_, index) => index));
    }));
});

/** Four clients that write records one after the other until told to end; every failure is kept. */
function startRecording(rig: Rig) {
  const acknowledged: number[] = [];
  const failed: string[] = [];
  let ending = false;
  const clients = [1, 2, 3, 4].map(async () => {
    while (!ending) {
      try {
        acknowledged.push(await rig.record());
      } catch (error) {
        failed.push(String((error as Error).cause ?? error));
      }
    }
  });
  return {
    async end() {
      ending = true;
      await Promise.all(clients);
      return { acknowledged, failed };
    },
  };
}
