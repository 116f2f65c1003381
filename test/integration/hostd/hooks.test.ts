import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { answerOf } from "../../../hostd/verbs/answer.ts";
import type { App } from "../../../manifests/app.ts";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };
const DATA = "/var/lib/shop";

describeWith(NEEDS, "the hooks of a switch", () => {
  test.each([false, true])(
    "DRAIN of the old version, then READY of the new one, once each; start-first: %s",
    (startFirst) =>
      withRig(async (rig) => {
        await live(rig, { version: "1.0.0", startFirst, hooks: said("1") });
        expect(log(rig)).toEqual(["ready 1"]);
        await live(rig, { version: "1.1.0", startFirst, hooks: said("2") });
        expect(log(rig)).toEqual(["ready 1", "drain 1", "ready 2"]);
      }),
  );

  test.each([false, true])(
    "a DRAIN that fails stops the switch, and the old version was never stopped; start-first: %s",
    (startFirst) =>
      withRig(async (rig) => {
        const hooks = { ...said("1"), drain: hook(`[ ! -e ${DATA}/full ]`) };
        await live(rig, { version: "1.0.0", startFirst, hooks });
        writeFileSync(join(rig.state, "data/shop/live/full"), "");
        const { process: before } = await rig.client.app("shop");
        await rig.publish({ version: "1.1.0", startFirst });
        expect(await rig.operate("deploy")).toMatchObject({
          state: "failed",
          reverted: true,
          reason: { code: "drain-failed" },
        });
        expect((await rig.client.app("shop")).process).toEqual(before);
        expect(await rig.get("/version")).toBe("1.0.0");
        expect(log(rig)).toEqual(["ready 1", "ready 1"]); // it joined again
        expect((await rig.client.status()).quarantine).toEqual([]);
      }),
  );

  test("a DRAIN that fails is noted by a rollback, which goes on: no version is there for ever", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await live(rig, { version: "1.1.0", hooks: { drain: hook("exit 3") } });
      const back = await rig.operate("rollback");
      expect(back).toMatchObject({ state: "done" });
      expect(back.notes).toContain("left without a drain: shop 1.1.0: DRAIN hook failed: exit code 3");
      expect(await rig.get("/version")).toBe("1.0.0");
    }));

  test.each([false, true])("and by a switch from a version that is sick; start-first: %s", (startFirst) =>
    withRig(async (rig) => {
      await rig.start({ options: ["--on-sick", "report"] });
      await rig.publish({
        version: "1.0.0",
        how: "turns-sick",
        interval: 100,
        startFirst,
        hooks: { drain: hook("exit 3") },
      });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      writeFileSync(join(rig.state, "data/shop/live/sick"), "");
      await eventually(
        () => rig.client.app("shop"),
        ({ health }) => health === "unhealthy",
      );
      await rig.publish({ version: "1.1.0", startFirst });
      expect(await rig.operate("deploy")).toMatchObject({
        state: "done",
        notes: [expect.stringContaining("without a drain")],
      });
    }),
  );

  test.each([false, true])(
    "a READY that fails is a failed switch, and the old version joins again; start-first: %s",
    (startFirst) =>
      withRig(async (rig) => {
        await live(rig, { version: "1.0.0", startFirst, hooks: said("1") });
        await rig.publish({
          version: "1.1.0",
          startFirst,
          hooks: { ready: hook(`echo no >>${DATA}/hooks; echo no; exit 3`) },
        });
        const failed = await rig.operate("deploy");
        expect(failed).toMatchObject({ state: "failed", reverted: true, reason: { code: "hook-failed" } });
        expect(answerOf(failed).text).toMatch(/exit code 3\n {4}\| no\n/);
        expect(log(rig)).toEqual(["ready 1", "drain 1", "no", "ready 1"]);
        expect(await rig.get("/version")).toBe("1.0.0");
      }),
  );

  test("REVERTED is of the version that is gone back to, after its READY; one that fails takes a rollback back, and its version is quarantined", () =>
    withRig(async (rig) => {
      const reverted = hook(`echo reverted 1 >>${DATA}/hooks; [ ! -e ${DATA}/full ]`);
      await live(rig, { version: "1.0.0", hooks: { ...said("1"), reverted } });
      await rig.publish({ version: "1.1.0", how: "sick", within: 300 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "failed", reverted: true });
      expect(log(rig)).toEqual(["ready 1", "drain 1", "ready 1", "reverted 1"]);

      await live(rig, { version: "1.2.0" });
      expect(await rig.operate("rollback")).toMatchObject({ state: "done", version: "1.0.0" });
      expect(log(rig).slice(4)).toEqual(["drain 1", "ready 1", "reverted 1"]);

      await live(rig, { version: "1.3.0" });
      writeFileSync(join(rig.state, "data/shop/live/full"), "");
      const failed = await rig.operate("rollback");
      expect(failed).toMatchObject({ state: "failed", reverted: true, reason: { code: "hook-failed" } });
      expect(failed.notes).toContain("quarantined 1.0.0");
      expect(await rig.get("/version")).toBe("1.3.0");
    }));
});

describeWith(NEEDS, "a hook that runs", () => {
  test("is killed by an abort and by hostd's end: what was begun is undone, and RESUME runs to its own end", () =>
    withRig(async (rig) => {
      const waits = `echo begun >>${DATA}/hooks; read word <${DATA}/fifo; echo ended >>${DATA}/hooks`; // nobody writes
      const long = { ...hook(waits), timeout: 400_000 };
      await live(rig, { version: "1.0.0", hooks: { quiesce: long, resume: hook(`echo resumed >>${DATA}/hooks`) } });
      spawnSync("mkfifo", ["-m", "666", join(rig.state, "data/shop/live/fifo")]);
      const { process: before } = await rig.client.app("shop");
      const begin = async (verb: string) => {
        const operation = await rig.client.begin("shop", verb, {});
        await eventually(
          async () => log(rig),
          (lines) => lines.at(-1) === "begun",
        );
        return operation;
      };
      const snapshot = await begin("snapshot");
      await rig.client.abort(snapshot.id);
      expect(await rig.client.wait(snapshot, () => {}, AbortSignal.timeout(60_000))).toMatchObject({
        state: "failed",
        reverted: true,
        reason: { code: "aborted" },
      });
      expect(log(rig)).toEqual(["begun", "resumed"]);
      expect((await rig.client.app("shop")).process).toEqual(before);

      await rig.publish({ version: "1.1.0", hooks: { migrate: long } });
      const aborted = await begin("deploy");
      await rig.client.abort(aborted.id);
      expect(await rig.client.wait(aborted, () => {}, AbortSignal.timeout(60_000))).toMatchObject({
        state: "failed",
        reverted: true,
        reason: { code: "aborted" },
        afterwards: { healthy: true },
      });
      expect(log(rig)).toEqual(["begun", "resumed"]);
      const { id } = await begin("activate");
      await rig.stop();
      await rig.start();
      const ended = await eventually(
        () => rig.client.operation(id),
        ({ finished }) => finished !== undefined,
      );
      expect(ended).toMatchObject({ state: "failed", reverted: true, reason: { code: "interrupted" } });
      expect(log(rig)).toEqual(["begun", "resumed"]);
      expect(await rig.get("/version")).toBe("1.0.0");
    }));
});

describeWith(NEEDS, "an app that binds its port itself", () => {
  test("the gap of its switch is measured from outside and told", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0", bindsItself: true });
      await rig.publish({ version: "1.1.0", bindsItself: true });
      const { gap = 0, notes } = await rig.operate("deploy");
      expect(gap).toBeGreaterThan(1);
      expect(gap).toBeLessThan(5_000);
      expect(notes).toContain(`gap: ${gap} ms without a connection, since the app binds its port itself`);
      await rig.publish({ version: "1.2.0", bindsItself: true, how: "sick", within: 400 });
      const back = await rig.operate("deploy");
      expect(back).toMatchObject({ state: "failed", reverted: true, gap: expect.any(Number) });
    }));
});

describeWith(NEEDS, "the limits of an app", () => {
  test("are in its status; one that is out of memory is told so in history and in what is kept of the failure", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0", limits: { memory: 64 * 1024 * 1024, tasks: 8 } });
      expect((await rig.client.app("shop")).limits).toEqual([
        { limit: "memory", declared: 67_108_864, inForce: 67_108_864, held: true },
        { limit: "tasks", declared: 8, inForce: 8, held: true },
      ]);
      await rig.publish({ version: "1.1.0", how: "greedy", limits: { memory: 32 * 1024 * 1024 } });
      const failed = await rig.operate("deploy");
      expect(failed.reason?.message).toContain("killed by SIGKILL: out of memory");
      const bundle = await rig.client.failure(failed.id);
      expect(bundle.processes).toMatchObject([{ exited: { signal: "SIGKILL", oom: true } }]);
    }));
});

function said(number: string): App["hooks"] {
  return { drain: hook(`echo drain ${number} >>${DATA}/hooks`), ready: hook(`echo ready ${number} >>${DATA}/hooks`) };
}

function hook(script: string) {
  return { command: ["/usr/bin/dash", "-c", script], timeout: 10_000 };
}

function log(rig: Rig): string[] {
  const file = join(rig.state, "data/shop/live/hooks");
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
}

async function live(rig: Rig, options: Parameters<Rig["publish"]>[0]): Promise<void> {
  await rig.publish({ stable: 150, ...options });
  if (
    await rig.client.status().then(
      () => false,
      () => true,
    )
  )
    await rig.start();
  expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
}
