import { expect, test } from "vitest";
import { OPERATIONS, stepRule } from "../../../hostd/states.ts";
import { crash, versionOf } from "../../hostd/crash.ts";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { processesOf } from "../../hostd/whole.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

/** Undo steps that the way back of a sick version ends and begins with. */
const MOMENTS = OPERATIONS.activate
  .filter((step) => ["mount", "start"].includes(step) && stepRule(step).undo !== undefined)
  .map((step) => `activate.${step}.undo.before`);

describeWith(NEEDS, "an undo that ends hostd each time", () => {
  test.each(MOMENTS)(
    "at %s, is given up: the app is stopped and held, hostd serves, and a command ends the hold",
    (moment) =>
      withRig(async (rig) => {
        const old = await rig.publish({ version: versionOf(rig, 1), stable: 150 });
        await rig.start();
        expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
        const written = await rig.acknowledge();
        await rig.publish({ version: versionOf(rig, 2), how: "sick", within: 200, stable: 150 });
        expect(await rig.operate("stage")).toMatchObject({ state: "done" });
        await crash(rig, "activate", moment, 1);
        expect(await startsUntilItStays(rig, moment)).toBe(6);

        const app = await eventually(
          () => rig.client.app("shop"),
          ({ operations }) => operations.length === 0,
        );
        expect(app).toMatchObject({ health: "stopped", current: { version: versionOf(rig, 1) } });
        expect(app.hold).toMatch(/could not be taken back: hostd ended 6 times/);
        expect(app.slots.map(({ state }) => state)).toEqual(["failed", "good"]);
        const [newest] = (await rig.client.changes({ app: "shop", limit: 1 })).changes;
        expect(newest).toMatchObject({
          kind: "activate",
          state: "failed",
          reverted: false,
          reason: { code: "unhealthy" },
        });
        await eventually(
          async () => processesOf(rig),
          (processes) => processes.length === 0,
        );

        await rig.kill();
        await rig.start();
        expect((await rig.client.app("shop")).health).toBe("stopped");
        for (const verb of ["start", "stop", "start"]) {
          await expect(rig.client.begin("shop", verb, {})).rejects.toMatchObject({
            code: "held",
            message: expect.stringMatching(/could not be taken back/),
            hint: expect.stringMatching(/^hostd activate shop \w+ ends that$/),
          });
        }
        expect(await rig.operate("activate", { image: old.image })).toMatchObject({ state: "done" });
        expect(await rig.get("/version")).toBe(versionOf(rig, 1));
        expect(await rig.records()).toContain(written);
      }),
  );
});

/** Starts hostd with the fault again and again; answers at which start it went on living. */
async function startsUntilItStays(rig: Rig, fault: string): Promise<number> {
  for (let starts = 1; starts <= 10; starts++) {
    await rig.start({ fault });
    const ended = await Promise.race([
      rig.ended().then(() => true),
      eventually(
        () => rig.client.app("shop"),
        ({ operations }) => operations.length === 0,
      ).then(
        () => false,
        () => true,
      ),
    ]);
    if (!ended) return starts;
  }
  return Number.POSITIVE_INFINITY;
}
