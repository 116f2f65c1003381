import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { appPid } from "../../hostd/crash.ts";
import { abortWhileJudged, eventually, withRig } from "../../hostd/rig.ts";
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
      await rig.client.setLayer("app/shop", "shop.yaml", "greeting: later\n");
      expect(await rig.operate("start")).toMatchObject({ state: "done", notes: ["1.0.0 runs already"] });
      expect(await appPid(rig)).toBe(pid);
      expect(await rig.client.app("shop")).toMatchObject({ current: { number: 1 } });
      const asked = { requestId: "once" };
      expect(await rig.operate("stop", asked)).toMatchObject({ kind: "halt", state: "done" });
      await expect(rig.client.begin("shop", "start", asked)).rejects.toMatchObject({ code: "bad-request" });
      expect(await rig.operate("start")).toMatchObject({ state: "done" });
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

  test("or that ended, where hostd only reports that, is started by a start and by an activation of what is current", () =>
    withRig(async (rig) => {
      const { image } = await rig.publish({ version: "1.0.0", stable: 100 });
      await rig.start({ options: ["--on-sick", "report"] });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      for (const [verb, body] of [
        ["start", {}],
        ["activate", { image }],
      ] as const) {
        process.kill(await appPid(rig), "SIGKILL");
        await eventually(
          () => rig.client.app("shop"),
          ({ health }) => health === "unhealthy",
        );
        expect(await rig.operate(verb, body)).toMatchObject({ state: "done" });
        expect(await rig.client.app("shop")).toMatchObject({ health: "healthy" });
      }
    }));

  test("while a deploy brings the next version has the last word; so has one who holds its updates", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0", stable: 100 });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await rig.publish({ version: "1.1.0", stable: 100, noise: 2 });
      const begin = async () => {
        const begun = await rig.client.begin("shop", "deploy", { rate: "500k" });
        await eventually(
          () => rig.client.operation(begun.id),
          ({ steps }) => steps.some(({ name, started }) => name === "fetch" && started !== undefined),
        );
        return begun;
      };
      const stopped = await begin();
      expect(await rig.operate("stop", { by: "ada" })).toMatchObject({ state: "done" });
      const ended = await rig.client.wait(stopped, () => {}, AbortSignal.timeout(30_000));
      expect(ended).toMatchObject({
        state: "failed",
        reason: { code: "held", message: "shop was stopped meanwhile: by ada" },
      });
      expect(await rig.client.app("shop")).toMatchObject({ health: "stopped", hold: "by ada", current: { number: 1 } });
      expect(await rig.operate("start")).toMatchObject({ state: "done" });

      await rig.publish({ version: "1.2.0", stable: 100, noise: 2 });
      const held = await begin();
      await rig.client.hold("shop", "Christmas", undefined);
      expect(await rig.client.wait(held, () => {}, AbortSignal.timeout(30_000))).toMatchObject({
        state: "failed",
        reason: { code: "updates-held" },
      });
      expect(await rig.get("/version")).toBe("1.0.0");
      const [newest] = (await rig.client.app("shop")).slots;
      await expect(rig.client.begin("shop", "rollback", { to: newest?.image })).rejects.toMatchObject({
        code: "updates-held",
      });
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
      await rig.publish({ version: "1.1.0", how: "sick", within: 300 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "failed", reverted: true });
      await held(); // as before, and it may still be started as it is
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
      const ended = await abortWhileJudged(rig, "start");
      expect(ended).toMatchObject({ state: "failed", reason: { code: "aborted" } });
      const app = await rig.client.app("shop");
      expect(app).toMatchObject({ health: "stopped", hold: "by ada" });
      expect(app).not.toHaveProperty("process");
    }));
});
