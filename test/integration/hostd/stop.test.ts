import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { appPid } from "../../hostd/crash.ts";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "an app that somebody stops", () => {
  test("stays stopped, also where hostd goes back from sick apps, over a new hostd and a reboot, until it is started", () =>
    withRig(async (rig) => {
      const options = ["--on-sick", "rollback"];
      await rig.publish({ version: "0.9.0", stable: 100 });
      await rig.start({ options });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await rig.publish({ version: "1.0.0", stable: 100 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await rig.record();
      const before = (await rig.client.app("shop")).current;
      expect(await rig.operate("stop", { by: "ada", reason: "its disk moves" })).toMatchObject({
        kind: "halt",
        state: "done",
      });
      const stopped = { health: "stopped", hold: "by ada: its disk moves" };
      expect(await rig.client.app("shop")).toMatchObject(stopped);
      expect(await rig.client.app("shop")).not.toHaveProperty("process");
      expect(await rig.client.health()).toMatchObject({ verdict: "red", apps: [stopped] });

      const waiting = rig.get("/version"); // its socket stays open
      await rig.stop();
      await rig.start({ options });
      await delay(1_000);
      expect(await rig.client.app("shop")).toMatchObject(stopped);
      await expect(rig.client.begin("shop", "restart", {})).rejects.toMatchObject({
        code: "held",
        message: "shop is kept stopped: by ada: its disk moves",
        hint: "hostd start shop ends that",
      });
      expect(await rig.operate("start")).toMatchObject({ kind: "restart", state: "done" });
      expect(await waiting).toBe("1.0.0");
      expect(await rig.client.app("shop")).toMatchObject({ health: "healthy", current: before });
      expect(await rig.client.app("shop")).not.toHaveProperty("hold");

      expect(await rig.operate("stop", { by: "ada" })).toMatchObject({ state: "done" });
      await rig.reboot();
      await rig.start({ options });
      await delay(1_000);
      expect(await rig.client.app("shop")).toMatchObject({ health: "stopped", hold: "by ada" });
      expect(await rig.operate("start")).toMatchObject({ state: "done" });
      expect(await rig.records()).toEqual(["0 by 1.0.0"]);
      expect((await rig.client.status()).quarantine).toEqual([]);
    }));

  test("or that runs: a start of it changes nothing; what runs to its end by itself is neither stopped nor started", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0", stable: 100 });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      const pid = await appPid(rig);
      expect(await rig.operate("start")).toMatchObject({ state: "done", notes: ["1.0.0 runs already"] });
      expect(await appPid(rig)).toBe(pid);
      await rig.publish({ version: "1.0.0", name: "tally", job: { seconds: 0, exit: 0 } });
      const run = await rig.client.begin("tally", "deploy", {});
      await rig.client.wait(run, () => {}, AbortSignal.timeout(30_000));
      for (const verb of ["stop", "start"]) {
        await expect(rig.client.begin("tally", verb, {})).rejects.toMatchObject({
          message: "tally is a job: expected a service",
        });
      }
      await expect(rig.client.begin("nobody", "stop", {})).rejects.toMatchObject({ code: "unknown-app" });
    }));

  test("since it was sick, is stopped again where it still is, and well once it is not", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0", how: "turns-sick", stable: 100, within: 1_000 });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      const sick = join(rig.state, "data/shop/live/sick");
      writeFileSync(sick, "");
      const held = async () => {
        const { hold } = await eventually(
          () => rig.client.app("shop"),
          (app) => app.hold !== undefined && app.operations.length === 0,
          20_000,
        );
        expect(hold).toMatch(/^sick after a restart: .*503/);
      };
      await held();
      expect(await rig.operate("start")).toMatchObject({ state: "failed", reason: { code: "unhealthy" } });
      await held();
      rmSync(sick);
      expect(await rig.operate("start")).toMatchObject({ state: "done" });
      expect(await rig.client.app("shop")).toMatchObject({ health: "healthy", current: { number: 1 } });
    }));

  test("is started no more than it was where its start is aborted", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0", stable: 3_000 });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      expect(await rig.operate("stop", { by: "ada" })).toMatchObject({ state: "done" });
      await abortWhileJudged(rig, "start");
      const app = await rig.client.app("shop");
      expect(app).toMatchObject({ health: "stopped", hold: "by ada" });
      expect(app).not.toHaveProperty("process");
    }));
});

async function abortWhileJudged(rig: Rig, verb: string): Promise<void> {
  const begun = await rig.client.begin("shop", verb, {});
  await eventually(
    () => rig.client.operation(begun.id),
    ({ steps }) => steps.some(({ name, started }) => name === "judge" && started !== undefined),
  );
  await rig.client.abort(begun.id);
  const ended = await rig.client.wait(begun, () => {}, AbortSignal.timeout(20_000));
  expect(ended).toMatchObject({ state: "failed", reason: { code: "aborted" } });
}
