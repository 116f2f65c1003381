import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Rig, readJson, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "hostd from release to rollback", () => {
  test("staging changes nothing that runs; activating runs, judges and commits what was staged", () =>
    withRig(async (rig) => {
      const first = await rig.publish({ version: "1.0.0" });
      await rig.start();
      expect(await rig.operate("stage")).toMatchObject({ state: "done", image: first.image, version: "1.0.0" });
      expect(await rig.client.app("shop")).not.toHaveProperty("current");
      expect(readdirSync(join(rig.state, "parts"))).toEqual([]);

      expect(await rig.operate("activate")).toMatchObject({ state: "done", to: 1, reverted: false });
      expect(await rig.get("/version")).toBe("1.0.0");
      expect(await rig.get("/config")).toBe("hello");
      expect(await rig.client.app("shop")).toMatchObject({
        health: "healthy",
        current: { number: 1, state: "good", config: 1, data: { version: "first", format: 1 } },
      });
    }));

  test("a deploy of what runs already is done at once and changes nothing", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      const again = await rig.operate("deploy");
      expect(again).toMatchObject({ state: "done", notes: ["1.0.0 runs already"] });
      expect(await rig.client.app("shop")).toMatchObject({ current: { number: 1 } });
    }));

  test("a version is asked to end by the signal that its image names; an image that names none of Linux is refused", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0", how: "stubborn", stopSignal: "SIGUSR1" });
      const { notes } = await rig.operate("restart");
      expect(notes).toEqual([]);
      await rig.publish({ version: "1.1.0", stopSignal: "SIGTREM" });
      expect(await rig.operate("stage")).toMatchObject({
        state: "failed",
        reason: { message: "image config: StopSignal: expected a signal such as SIGTERM, got SIGTREM" },
      });
    }));

  test("a version that SIGTERM does not end is killed, and the switch or the restart says so", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0", how: "stubborn" });
      const notes = expect.arrayContaining(["1.0.0 did not end within 2000 ms of SIGTERM: it was killed"]);
      expect(await rig.operate("restart")).toMatchObject({ state: "done", notes });
      await rig.publish({ version: "1.1.0", stable: 100 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done", notes });
      expect((await rig.operate("restart")).notes).toEqual([]);
    }));

  test("a rollback moves binaries alone: the data written since stays, and the version left is quarantined", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await rig.record();
      const second = await live(rig, { version: "1.1.0", greeting: "good day" });
      await rig.record();

      const back = await rig.operate("rollback");
      expect(back).toMatchObject({ state: "done", version: "1.0.0", from: 2, to: 3 });
      expect(back.notes).toContain("kept the data as it is (format 1)");
      expect(await rig.get("/version")).toBe("1.0.0");
      expect(await rig.get("/config")).toBe("good day");
      expect(await rig.records()).toEqual(["0 by 1.0.0", "1 by 1.1.0"]);
      const { quarantine } = await rig.client.status();
      expect(quarantine).toMatchObject([{ image: second.image, reason: "rolled back by command" }]);
      await expect(rig.client.begin("shop", "activate", { image: second.image })).rejects.toMatchObject({
        code: "quarantined",
        outcome: "refused",
      });
    }));

  test("a rollback with config takes the config of that generation too", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await live(rig, { version: "1.1.0", greeting: "good day" });
      expect(await rig.operate("rollback", { withConfig: true })).toMatchObject({ state: "done" });
      expect(await rig.get("/config")).toBe("hello");
    }));

  test("a rollback that could not read the data is refused and names the snapshot; with it, the data goes back too", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await rig.record();
      await live(rig, { version: "2.0.0", format: 2, reads: ">=1 <3", migrate: "good" });
      await rig.record();
      expect(await rig.get("/format")).toBe("2");

      await expect(rig.client.begin("shop", "rollback", {})).rejects.toMatchObject({
        code: "data-format",
        outcome: "refused",
        hint: expect.stringContaining("--with-data before-g2"),
      });
      const back = await rig.operate("rollback", { withData: "before-g2" });
      expect(back).toMatchObject({ state: "done", version: "1.0.0" });
      expect(await rig.records()).toEqual(["0 by 1.0.0"]);
      expect(await rig.get("/format")).toBe("");
      const { snapshots, current } = await rig.client.app("shop");
      expect(snapshots.map(({ id, format }) => `${id} ${format}`)).toEqual(["before-g3 2", "before-g2 1"]);
      expect(current?.data?.format).toBe(1);
    }));

  test("a version that turns sick in its trial is taken back by itself; data written meanwhile is kept", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await rig.record();
      const sick = await rig.publish({ version: "1.1.0", how: "sick", within: 5_000 });
      const begun = await rig.client.begin("shop", "deploy", {});
      await untilVersion(rig, "1.1.0");
      await rig.record();
      const failed = await rig.client.wait(begun, () => {}, AbortSignal.timeout(30_000));

      expect(failed).toMatchObject({
        state: "failed",
        reverted: true,
        reason: { code: "unhealthy", message: expect.stringContaining("503") },
        afterwards: { healthy: true },
      });
      expect(failed.notes.join("\n")).toContain("kept the data written meanwhile (format 1)");
      expect(await rig.get("/version")).toBe("1.0.0");
      expect(await rig.records()).toEqual(["0 by 1.0.0", "1 by 1.1.0"]);
      const bundle = readJson(join(rig.state, "failures", `${failed.id}.json`));
      expect(bundle).toMatchObject({ generation: 2, log: expect.stringContaining("shop 1.1.0 begins as sick") });
      expect(await rig.operate("deploy")).toMatchObject({ state: "failed", reason: { code: "quarantined" } });

      await rig.client.release(sick.image);
      expect(await rig.operate("activate", { image: sick.image })).toMatchObject({ state: "failed", reverted: true });
    }));

  test("a version that ends in its trial is taken back at once, with how it ended", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await rig.publish({ version: "1.1.0", how: "crash" });
      const failed = await rig.operate("deploy");
      expect(failed.reason?.message).toContain("the app ended: exit code 3");
      expect(await rig.get("/version")).toBe("1.0.0");
    }));

  test("where the old version cannot read what the sick one made of the data, the snapshot comes back and the newer is kept", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await rig.record();
      await rig.publish({ version: "2.0.0", how: "sick", within: 500, format: 2, reads: ">=1 <3", migrate: "good" });
      const failed = await rig.operate("deploy");
      expect(failed.notes.join("\n")).toContain("took the data back to snapshot before-g2");
      expect(await rig.get("/format")).toBe("");
      expect(await rig.records()).toEqual(["0 by 1.0.0"]);
      const { snapshots } = await rig.client.app("shop");
      expect(snapshots.map(({ id, format }) => `${id} ${format}`)).toEqual(["kept-g2 2", "before-g2 1"]);
    }));

  test("a rollback that is taken back with its data says so, and nothing else", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await rig.record();
      const newer = { format: 2, reads: ">=1 <3", migrate: "good", how: "turns-sick", within: 5_000 } as const;
      const second = await live(rig, { version: "2.0.0", ...newer });
      expect(await rig.operate("rollback", { withData: "before-g2" })).toMatchObject({ state: "done" });
      await rig.client.release(second.image);
      writeFileSync(join(rig.state, "data/shop/live/sick"), "");
      const failed = await rig.operate("rollback", { to: second.image });
      expect(failed).toMatchObject({ state: "failed", reverted: true, reason: { code: "unhealthy" } });
      expect(failed.notes.filter((note) => /data/.test(note))).toEqual([
        "kept the data as it is (format 1)",
        expect.stringMatching(
          /^took the data back to snapshot before-g4, since the old version cannot read format 2; /,
        ),
      ]);
      expect(await rig.records()).toEqual(["0 by 1.0.0"]);
    }));

  test("a migration that fails half way leaves the data as it was, and the old version running", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await rig.record();
      await rig.publish({ version: "2.0.0", format: 2, reads: ">=1 <3", migrate: "bad" });
      const failed = await rig.operate("deploy");
      expect(failed).toMatchObject({ state: "failed", reason: { code: "hook-failed" }, reverted: true });
      expect(failed.reason?.details?.["output"]).toContain("cannot migrate");
      expect(await rig.get("/format")).toBe("");
      expect(await rig.records()).toEqual(["0 by 1.0.0"]);
      const { snapshots, current } = await rig.client.app("shop");
      expect(snapshots).toEqual([]);
      expect(current).toMatchObject({ number: 1, data: { format: 1 } });
    }));

  test("the first version ever that is no good leaves nothing running, listening, or told as unhealthy", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0", how: "sick", within: 300 });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "failed", reverted: true });
      const app = await rig.client.app("shop");
      expect(app).not.toHaveProperty("current");
      expect(app).toMatchObject({ health: "unknown", checks: [] });
      expect(await rig.client.metrics()).not.toMatch(/hostd_(app_healthy|check_good)\{/);
      await expect(rig.get("/version")).rejects.toThrow();
    }));
});

/** Publishes a version, deploys it and expects it to be good. */
async function live(rig: Rig, options: Parameters<Rig["publish"]>[0]) {
  const published = await rig.publish(options);
  if (
    !(await rig.client.status().then(
      () => true,
      () => false,
    ))
  )
    await rig.start();
  expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
  return published;
}

async function untilVersion(rig: Rig, version: string): Promise<void> {
  while ((await rig.get("/version")) !== version) await new Promise((resolve) => setTimeout(resolve, 20));
}
