import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { appPid } from "../../hostd/crash.ts";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "hostd after the commit", () => {
  test("starts an app again that ended, once, and judges it", () =>
    withRig(async (rig) => {
      await live(rig, "good");
      process.kill(await appPid(rig), "SIGKILL");
      const restart = await eventually(
        () => newest(rig),
        (operation) => operation?.kind === "restart" && operation.finished !== undefined,
      );
      expect(restart).toMatchObject({ state: "done", by: "hostd", notes: [expect.stringContaining("the app ended")] });
      expect(await rig.get("/version")).toBe("1.0.0");
      expect((await rig.client.app("shop")).current?.number).toBe(1);
    }));

  test("stops an app that stays sick after its one restart, keeps everything else, and says so", () =>
    withRig(async (rig) => {
      await live(rig, "turns-sick", 3_000);
      await rig.record();
      writeFileSync(join(dataOf(rig), "sick"), "");
      const held = await eventually(
        () => rig.client.app("shop"),
        (app) => app.hold !== undefined && app.operations.length === 0,
        40_000,
      );
      expect(held).toMatchObject({ health: "stopped", hold: expect.stringContaining("sick after a restart") });
      expect(held.current).toMatchObject({ number: 1, state: "good" });
      expect(held).not.toHaveProperty("process");
      expect(held.slots).toHaveLength(1);
      expect((await rig.client.health()).healthy).toBe(false);

      rmSync(join(dataOf(rig), "sick"));
      await rig.kill();
      await rig.start();
      expect((await rig.client.app("shop")).health).toBe("stopped");
      await rig.publish({ version: "1.1.0" });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      expect(await rig.records()).toEqual(["0 by 1.0.0"]);
      expect(await rig.client.app("shop")).not.toHaveProperty("hold");
    }));

  test("told to roll back, goes back from an app that stays sick to the last good version, and refuses the one it left", () =>
    withRig(async (rig) => {
      await live(rig, "good");
      await rig.stop();
      await rig.start({ options: ["--on-sick", "rollback"] });
      await rig.publish({ version: "1.1.0", how: "turns-sick", within: 5_000 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      writeFileSync(join(dataOf(rig), "sick"), "");
      const back = await eventually(
        () => newest(rig),
        (operation) => operation?.kind === "rollback" && operation.finished !== undefined,
        40_000,
      );
      expect(back).toMatchObject({ state: "done", by: "hostd", version: "1.0.0" });
      expect(back?.notes.join()).toContain("because: sick after a restart");
      expect(await rig.client.app("shop")).not.toHaveProperty("hold");
      expect((await rig.client.status()).quarantine).toMatchObject([{ reason: expect.stringContaining("sick") }]);
    }));

  test("gives each version its own restarts, and goes back by itself once", () =>
    withRig(async (rig) => {
      await rig.start({ options: ["--on-sick", "rollback"] });
      for (const version of ["0.9.0", "1.0.0", "1.1.0"]) {
        await rig.publish({ version, stable: 0, interval: 100 });
        expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      }
      for (const kind of ["restart", "restart", "restart", "rollback", "restart", "restart", "restart", "halt"]) {
        const before = (await newest(rig))?.id ?? 0;
        process.kill(await appPid(rig), "SIGKILL");
        const ended = await eventually(
          () => newest(rig),
          (operation) => (operation?.id ?? 0) > before && operation?.kind === kind && operation.finished !== undefined,
        );
        expect(ended).toMatchObject({ state: "done", by: "hostd" });
      }
      await delay(1_000);
      const held = await rig.client.app("shop");
      expect(held).toMatchObject({
        current: { version: "1.0.0" },
        hold: expect.stringContaining("sick again and again"),
      });
      expect((await newest(rig))?.kind).toBe("halt");
    }));

  test("told to report, leaves a sick app alone and says so", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0", how: "turns-sick" });
      await rig.start({ options: ["--on-sick", "report"] });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      const { process: before } = await rig.client.app("shop");
      writeFileSync(join(dataOf(rig), "sick"), "");
      await eventually(
        () => rig.client.app("shop"),
        ({ health }) => health === "unhealthy",
      );
      await delay(1_000);
      const told = (await rig.client.collect()).apps[0];
      expect(told).toMatchObject({ health: "unhealthy", restarts: 0 });
      expect((await newest(rig))?.kind).toBe("deploy");
      expect((await rig.client.app("shop")).process).toEqual(before);
    }));

  test("is asked to end: apps go on; started again, it adopts them", () =>
    withRig(async (rig) => {
      await live(rig, "good");
      const { process: before } = await rig.client.app("shop");
      expect(await rig.stop()).toBe(0);
      expect(readdirSync(rig.run)).not.toContain("hostd.sock");
      expect(await rig.get("/version")).toBe("1.0.0");
      await rig.start();
      expect((await rig.client.app("shop")).process).toEqual(before);
      expect(rig.log()).toContain("app adopted");
    }));

  test("is killed while the app ends: started again, it starts the current generation", () =>
    withRig(async (rig) => {
      await live(rig, "good");
      const pid = await appPid(rig);
      await rig.kill();
      process.kill(pid, "SIGKILL");
      await rig.start();
      await eventually(
        () => rig.client.app("shop"),
        (app) => app.health === "healthy",
      );
      expect(await rig.get("/version")).toBe("1.0.0");
    }));

  test("after a reboot mounts, starts and watches the current generation, with its data", () =>
    withRig(async (rig) => {
      await live(rig, "good");
      await rig.record();
      await rig.reboot();
      await expect(rig.get("/version")).rejects.toThrow();
      await rig.start({ repository: join(rig.directory, "nowhere") });
      await eventually(
        () => rig.client.app("shop"),
        (app) => app.health === "healthy",
      );
      expect(await rig.records()).toEqual(["0 by 1.0.0"]);
    }));

  test("keeps the newest versions, what runs and what is pinned; the others leave the disk before the next is written", () =>
    withRig(async (rig) => {
      await live(rig, "good");
      const first = (await rig.client.app("shop")).slots[0];
      await rig.client.pin("shop", first?.image ?? "", "the last one before the audit");
      for (const version of ["1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0"]) {
        await rig.publish({ version, stable: 150 });
        expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      }
      const { slots } = await rig.client.app("shop");
      expect(slots.map(({ version }) => version)).toEqual(["1.5.0", "1.4.0", "1.3.0", "1.0.0"]);
      expect(readdirSync(join(rig.state, "layers")).filter((name) => name.endsWith(".erofs"))).toHaveLength(5);
      expect(await rig.operate("rollback", { to: "1" })).toMatchObject({ state: "done", version: "1.0.0" });
    }));

  test("takes a snapshot when asked, with the app back at once", () =>
    withRig(async (rig) => {
      await live(rig, "good");
      await rig.record();
      expect(await rig.operate("snapshot")).toMatchObject({ state: "done" });
      expect(await rig.records()).toEqual(["0 by 1.0.0"]);
      const { snapshots, current } = await rig.client.app("shop");
      expect(snapshots).toMatchObject([{ reason: "asked for", generation: 1, format: 1 }]);
      expect(current?.number).toBe(1);
      await rig.record();
      const back = await rig.operate("rollback", { to: "1", withData: snapshots[0]?.id ?? "" });
      expect(back).toMatchObject({ state: "done", from: 1, to: 2 });
      expect(await rig.records()).toEqual(["0 by 1.0.0"]);
      expect((await rig.client.status()).quarantine).toEqual([]);
    }));
});

async function live(rig: Rig, how: "good" | "turns-sick", within = 5_000) {
  await rig.publish({ version: "1.0.0", how, within });
  await rig.start();
  expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
}

async function newest(rig: Rig) {
  return (await rig.client.changes({ app: "shop", limit: 1 })).changes[0];
}

function dataOf(rig: Rig): string {
  return join(rig.state, "data/shop/live");
}
