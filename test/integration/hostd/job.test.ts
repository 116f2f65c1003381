import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "../../../effects/process.ts";
import { OPERATIONS, type StepName, stepRule } from "../../../hostd/states.ts";
import { type Digest, shortDigest } from "../../../manifests/digest.ts";
import { Failure } from "../../../manifests/failure.ts";
import { restartAndWait, versionOf } from "../../hostd/crash.ts";
import { eventually, type Rig, unlessRefused, withRig } from "../../hostd/rig.ts";
import { wrongJournal } from "../../hostd/whole.ts";
import { describeWith } from "../../needs.ts";

const root = join(import.meta.dirname, "../../..");
const NEEDS = { root: true, programs: ["bwrap", "perl", "mkfs.ext4", "losetup"] };
const QUICK = { seconds: 0.05, exit: 0 };

describeWith(NEEDS, "a job", () => {
  test("is run once to its end by its activation, and again by run alone; how it ended is told each time", () =>
    withRig(async (rig) => {
      const ran = await deployJob(rig, 1, QUICK);
      expect(ran).toMatchObject({
        state: "done",
        to: 1,
        run: { exitCode: 0, log: expect.stringContaining("at work") },
      });
      expect(await rig.operate("activate")).toMatchObject({
        state: "done",
        notes: [expect.stringContaining("ran already")],
      });
      expect(runs(rig)).toEqual(["began 1", "ended 1"]);

      expect(await rig.operate("run")).toMatchObject({
        kind: "run",
        state: "done",
        from: 1,
        to: 2,
        run: { exitCode: 0 },
      });
      await rig.kill();
      await rig.start();
      expect(runs(rig)).toEqual(["began 1", "ended 1", "began 1", "ended 1"]);
      const { health, process, lastRun, snapshots } = await rig.client.app("shop");
      expect({ health, process, lastRun }).toMatchObject({
        health: "healthy",
        process: undefined,
        lastRun: { generation: 2, state: "done", exitCode: 0 },
      });
      expect(snapshots.map(({ id }) => id)).toContain("before-g2");
      expect(existsSync(join(rig.run, "apps/shop"))).toBe(false);
    }));

  test("that ends with another exit code has failed: its version is quarantined, its data kept, the one before is run next", () =>
    withRig(async (rig) => {
      await deployJob(rig, 1, QUICK);
      const failed = await deployJob(rig, 2, { seconds: 0, exit: 3 });
      expect(failed).toMatchObject({
        state: "failed",
        reverted: true,
        reason: { code: "job-failed", message: expect.stringMatching(/exit code 3 after \d/) },
        run: { exitCode: 3, log: expect.stringContaining("ends with 3") },
      });
      expect(failed.notes.join()).toMatch(/kept the data written meanwhile.*before-g2.*quarantined 2/s);
      expect((await rig.client.health()).verdict).toBe("red");
      const health = spawnSync(join(root, "bin/hostd"), [
        "health",
        "--no-json",
        "--socket",
        join(rig.run, "hostd.sock"),
      ]);
      expect(health.status).toBe(1);
      expect(String(health.stdout)).toMatch(/shop +unhealthy +last run: exit code 3 after \d/);
      expect((await rig.client.logs("shop")).log).toContain("ends with 3");

      expect(await rig.operate("run")).toMatchObject({ state: "done", to: 3 });
      expect(runs(rig).slice(2)).toEqual(["began 2", "ended 2", "began 1", "ended 1"]);
      const { quarantine } = await rig.client.status();
      expect(quarantine).toMatchObject([{ image: failed.image }]);
      expect((await rig.client.health()).verdict).toBe("green");
    }));

  test("goes on when hostd is killed, and how it ended is found out afterwards, also after a restart of hostd in its middle", () =>
    withRig(async (rig) => {
      await rig.publish({ version: versionOf(rig, 1), job: { seconds: 1.5, exit: 0 } });
      await rig.start();
      await rig.client.begin("shop", "deploy", {});
      await begun(rig, 1);
      await rig.kill();
      await rig.start();
      expect(await rig.stop()).toBe(0);
      await ended(rig, 1);
      expect(await restartAndWait(rig)).toMatchObject({ state: "done", run: { exitCode: 0 } });
      expect(runs(rig)).toEqual(["began 1", "ended 1"]);
    }));

  test("that is run again leaves the node as its last run left it, until this one has ended", () =>
    withRig(async (rig) => {
      await deployJob(rig, 1, { seconds: 2, exit: 0 });
      const again = await rig.client.begin("shop", "run", {});
      await eventually(
        async () => runs(rig),
        (lines) => lines.filter((line) => line === "began 1").length === 2,
      );
      const { verdict, apps } = await rig.client.health();
      expect({ verdict, apps }).toMatchObject({
        verdict: "green",
        apps: [{ health: "healthy", lastRun: { operation: again.id, state: "running" } }],
      });
      expect(await rig.client.wait(again, () => {}, AbortSignal.timeout(60_000))).toMatchObject({ state: "done" });
    }));

  test("that a reboot interrupts is told as interrupted and not run again; nobody is at fault", () =>
    withRig(async (rig) => {
      await rig.publish({ version: versionOf(rig, 1), job: { seconds: 20, exit: 0 } });
      await rig.start();
      await rig.client.begin("shop", "deploy", {});
      await begun(rig, 1);
      await rig.reboot();
      const told = await restartAndWait(rig);
      expect(told).toMatchObject({ state: "failed", reverted: true, reason: { code: "job-interrupted" } });
      const [{ image = "" } = {}] = (await rig.client.app("shop")).slots;
      expect(told.reason?.hint).toMatch(new RegExp(`then hostd activate shop ${shortDigest(image as Digest)}$`));
      expect(runs(rig)).toEqual(["began 1"]);
      const { quarantine } = await rig.client.status();
      expect(quarantine).toEqual([]);
    }));

  test("that is ended from outside by the signal its image names was interrupted: nobody is at fault", () =>
    withRig(async (rig) => {
      await rig.publish({ version: versionOf(rig, 1), job: { seconds: 20, exit: 0 }, stopSignal: "SIGRTMIN+3" });
      await rig.start();
      const operation = await rig.client.begin("shop", "deploy", {});
      await begun(rig, 1);
      const pids = await run(["pgrep", "-f", `^/usr/bin/perl /opt/job.pl ${versionOf(rig, 1)} `]);
      process.kill(Number(pids.stdout.trim().split("\n").at(-1)), 37);
      const told = await rig.client.wait(operation, () => {}, AbortSignal.timeout(20_000));
      expect(told).toMatchObject({ state: "failed", reason: { code: "job-interrupted" }, run: { exitCode: 165 } });
      expect((await rig.client.status()).quarantine).toEqual([]);
    }));

  test("whose end is known has ended, also where the power is cut while its version is still being judged", () =>
    withRig(
      async (rig) => {
        await rig.publish({ version: versionOf(rig, 1), job: QUICK });
        await rig.start();
        rig.arm({ point: "deploy.judge.after", action: "pause" });
        await rig.client.begin("shop", "deploy", {});
        await rig.reached();
        rig.disk?.cutPower();
        await rig.reboot();
        await rig.disk?.repair();
        expect(await restartAndWait(rig)).toMatchObject({ state: "done", run: { exitCode: 0 } });
      },
      { disk: "ext4" },
    ));

  test("that takes too long is ended, and so is one that is aborted", () =>
    withRig(async (rig) => {
      const late = await deployJob(rig, 1, { seconds: 30, exit: 0, timeout: 3_000 });
      expect(late).toMatchObject({ state: "failed", reason: { code: "job-failed" }, run: { timedOut: true } });
      await rig.publish({ version: versionOf(rig, 2), job: { seconds: 30, exit: 0 } });
      const operation = await rig.client.begin("shop", "deploy", {});
      await begun(rig, 2);
      await rig.client.abort(operation.id);
      const aborted = await rig.client.wait(operation, () => {}, AbortSignal.timeout(20_000));
      expect(aborted).toMatchObject({ state: "failed", reason: { code: "aborted" }, run: { signal: "SIGTERM" } });
      expect(runs(rig)).toEqual(["began 1", "began 2"]);
    }));

  test("is not run by a rollback: that says which version the next run has, and makes no health of a run that failed", () =>
    withRig(async (rig) => {
      await deployJob(rig, 1, QUICK);
      await deployJob(rig, 2, QUICK);
      expect(await deployJob(rig, 3, { seconds: 0, exit: 3 })).toMatchObject({ state: "failed" });
      expect(await rig.operate("rollback")).toMatchObject({ state: "done", to: 4 });
      expect(runs(rig)).toHaveLength(6);
      expect((await rig.client.health()).verdict).toBe("red");
      expect((await rig.operate("run")).run?.log).toContain(`job ${versionOf(rig, 1)} at work`);
      expect((await rig.client.health()).verdict).toBe("green");
    }));

  test("in place of a service that fails brings the service back; a service is started again, not run", () =>
    withRig(async (rig) => {
      await rig.publish({ version: versionOf(rig, 1), stable: 100 });
      await rig.start();
      await rig.operate("deploy");
      await expect(rig.operate("run")).rejects.toBeInstanceOf(Failure);
      const { process } = await rig.client.app("shop");
      expect(await rig.operate("restart")).toMatchObject({ state: "done", notes: [] });
      expect((await rig.client.app("shop")).process?.pid).not.toBe(process?.pid);
      expect(await deployJob(rig, 2, { seconds: 0, exit: 1 })).toMatchObject({
        state: "failed",
        reverted: true,
        afterwards: { healthy: true },
      });
      expect(await rig.get("/version")).toBe(versionOf(rig, 1));
    }));

  test("is run at most once, and to its one end, wherever hostd is killed", () =>
    withRig(async (rig) => {
      await deployJob(rig, 1, QUICK);
      const wrong: string[] = [];
      for (const step of OPERATIONS.run) {
        for (const moment of ["before", "after"] as const)
          wrong.push(...(await killAt(rig, `run.${step}.${moment}`, step)));
      }
      writeFileSync(join(rig.state, "data/shop/live/exit"), "4");
      for (const step of ["start", "flip", "migrate", "snapshot", "mount"] as const) {
        for (const moment of ["undo.before", "undo.after"]) wrong.push(...(await killAt(rig, `run.${step}.${moment}`)));
      }
      await rig.stop();
      expect([...wrong, ...wrongJournal(rig)]).toEqual([]);
    }));
});

/** Runs the job with hostd killed there, and answers what is wrong afterwards; without a step it fails in any case. */
async function killAt(rig: Rig, point: string, step?: StepName): Promise<string[]> {
  const [before, { current }] = [runs(rig), await rig.client.app("shop")];
  rig.arm({ point, action: "kill" });
  const requestId = point;
  await rig.client.begin("shop", "run", { requestId }).catch(unlessRefused);
  await rig.ended();
  const told = await restartAndWait(rig);
  const resumes = step !== undefined && stepRule(step).afterCrash === "resume";
  const expected = {
    requestId,
    state: resumes ? "done" : "failed",
    runs: resumes || step === undefined ? ["began 1", "ended 1"] : [],
    exitCode: resumes ? 0 : step === undefined ? 4 : undefined,
    current: resumes ? told.to : current?.number,
    left: false,
  };
  const got = {
    requestId: told.requestId,
    state: told.state,
    runs: runs(rig).slice(before.length),
    exitCode: told.run?.exitCode,
    current: (await rig.client.app("shop")).current?.number,
    left: existsSync(join(rig.run, "apps/shop/holder.sock")),
  };
  return JSON.stringify(got) === JSON.stringify(expected)
    ? []
    : [`${point}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`];
}

async function deployJob(rig: Rig, number: number, job: { seconds: number; exit: number; timeout?: number }) {
  await rig.publish({ version: versionOf(rig, number), job });
  if (rig.log() === "") await rig.start();
  return await rig.operate("deploy");
}

/** What the job wrote to its data: `began 1`, `ended 1`, by the number of its version. */
function runs(rig: Rig): string[] {
  const file = join(rig.state, "data/shop/live/runs");
  const lines = existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n") : [];
  return lines.map((line) => line.replace(/\.\S*$/, ""));
}

const begun = (rig: Rig, number: number) => said(rig, `began ${number}`);
const ended = (rig: Rig, number: number) => said(rig, `ended ${number}`);

async function said(rig: Rig, line: string): Promise<void> {
  await eventually(
    async () => runs(rig),
    (lines) => lines.includes(line),
  );
}
