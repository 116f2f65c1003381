import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseCollect } from "../../../manifests/collect.ts";
import { parseEvent } from "../../../manifests/event.ts";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup", "nsenter", "unshare"] };
const hostd = join(import.meta.dirname, "../../../bin/hostd");

describeWith(NEEDS, "looking at a node from outside", () => {
  test("inspect runs the host's tools among the app's processes, with its root in reach; the app has neither", () =>
    withRig(async (rig) => {
      await live(rig);
      await rig.record();
      const { process: running } = await rig.client.app("shop");

      const processes = command(rig, "inspect", "shop", "--", "sh", "-c", "cat /proc/[0-9]*/comm").text.split("\n");
      expect(processes).toContain("perl");
      expect(processes.length).toBeLessThan(12);
      const seen =
        'readlink /proc/self/ns/pid /proc/self/ns/uts; pwd; cat "$APP_ROOT/var/lib/shop/records"; ls /usr/bin/nsenter';
      const [pid, uts, at, records, tool] = command(rig, "inspect", "shop", "--", "sh", "-c", seen).text.split("\n");
      expect(pid).toBe(namespaceOf(running?.pid, "pid"));
      expect(uts).toBe(namespaceOf(running?.pid, "uts"));
      expect(at).toMatch(/^\/proc\/\d+\/root$/);
      expect([records, tool]).toEqual(["0 by 1.0.0", "/usr/bin/nsenter"]);
      expect(spawnSync("ls", [`/proc/${running?.pid}/root/usr/bin/nsenter`]).status).not.toBe(0);

      const kept = command(rig, "inspect", "shop", "--json", "--", "sh", "-c", "echo out; echo err >&2; exit 7");
      expect(kept.status).toBe(7);
      expect(kept.json).toMatchObject({
        app: "shop",
        pid: running?.pid,
        exitCode: 7,
        stdout: "out\n",
        stderr: "err\n",
      });
      expect(command(rig, "inspect", "shop", "--", "sh", "-c", "exit 3").status).toBe(3);
      for (const how of ["--no-json", "--json"]) {
        expect(command(rig, "inspect", how, "shop", "--", "sh", "-c", "kill -9 $$").status).toBe(137);
      }
      expect(command(rig, "inspect", "web", "--", "true")).toMatchObject({ status: 2 });

      const spy = spawn(hostd, ["inspect", "shop", "--socket", socketOf(rig), "--", "sleep", "60"], {
        stdio: "ignore",
      });
      const inside = await eventually(
        async () => sleeperIn(running?.pid),
        (found) => found !== undefined,
      );
      const look = spawnSync("ls", [`/proc/${inside}/root/`], { uid: userOf(running?.pid), encoding: "utf8" });
      expect(look.stderr).toContain("Permission denied");
      if (inside === undefined) throw new Error("expected the sleeper");
      process.kill(inside, "SIGKILL");
      await new Promise((resolve) => spy.once("exit", resolve));
      expect(await rig.get("/version")).toBe("1.0.0");
    }));

  test("logs follows an app across a new start of hostd and a switch, and shows a version's own", () =>
    withRig(async (rig) => {
      await live(rig);
      const following = spawn(hostd, ["logs", "shop", "--follow", "--socket", socketOf(rig)], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      let seen = "";
      following.stdout.on("data", (text) => {
        seen += text;
      });
      await eventually(
        async () => seen,
        (text) => text.includes("shop 1.0.0 begins as good"),
      );
      await rig.stop();
      await rig.start();
      await rig.publish({ version: "1.1.0", stable: 300 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await eventually(
        async () => seen,
        (text) => text.includes("shop 1.1.0 begins as good"),
      );
      expect(seen).toBe("shop 1.0.0 begins as good\n--- generation 2: 1.1.0\nshop 1.1.0 begins as good\n");
      following.kill("SIGINT");
      expect(await new Promise((resolve) => following.once("exit", (code) => resolve(code)))).toBe(0);
      const old = command(rig, "logs", "shop", "--slot", "1.0.0");
      expect(old.json).toMatchObject({ generation: 1, version: "1.0.0", log: "shop 1.0.0 begins as good\n" });
      expect(command(rig, "logs", "shop", "--slot", "9.9.9")).toMatchObject({
        status: 2,
        json: { error: { code: "unknown-image" } },
      });
    }));

  test("watch tells each event once, in order, as JSON lines, also across a restart of hostd", () =>
    withRig(async (rig) => {
      await live(rig);
      const watching = spawn(hostd, ["watch", "--socket", socketOf(rig)], { stdio: ["ignore", "pipe", "pipe"] });
      let seen = "";
      watching.stdout.on("data", (text) => {
        seen += text;
      });
      let number = 0;
      await eventually(
        async () => {
          await rig.client.setLayer("site", "site.yaml", `number: ${++number}\n`); // until it listens
          return seen;
        },
        (text) => text.includes("config.set"),
      );
      await rig.stop();
      await rig.start();
      expect(await rig.operate("restart")).toMatchObject({ state: "done" });
      await eventually(
        async () => seen,
        (text) => text.includes("operation.done"),
      );
      const events = seen
        .trimEnd()
        .split("\n")
        .map((line) => parseEvent(JSON.parse(line)));
      expect(events.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["hostd.stopped", "hostd.started"]));
      expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => (events[0]?.id ?? 0) + index));
      watching.kill("SIGINT");
      expect(await new Promise((resolve) => watching.once("exit", (code) => resolve(code)))).toBe(0);
    }));

  test("watch and logs --follow end well once nobody reads, and fail where what they say cannot be written", () =>
    withRig(async (rig) => {
      await live(rig);
      const full = openSync("/dev/full", "w");
      for (const words of [["watch"], ["logs", "shop", "--follow"]]) {
        const start = (output: "pipe" | number) =>
          spawn(hostd, [...words, "--socket", socketOf(rig)], {
            stdio: ["ignore", output, "pipe"],
            timeout: 20_000,
            killSignal: "SIGKILL",
          });
        const [unread, unwritten] = [start("pipe"), start(full)];
        unread.stdout?.destroy();
        let error = "";
        unwritten.stderr?.on("data", (text) => {
          error += text;
        });
        const told = once(unwritten, "close");
        let number = 0;
        await eventually(
          async () => {
            await rig.client.setLayer("site", "site.yaml", `number: ${++number}\n`); // something to tell
            return [unread, unwritten].map(({ exitCode, signalCode }) => exitCode ?? signalCode);
          },
          (ends) => !ends.includes(null),
        );
        await told;
        expect([unread.exitCode, unwritten.exitCode]).toEqual([0, 1]);
        expect(error).toMatch(/^error: the answer could not be written: ENOSPC/);
      }
      closeSync(full);
    }));

  test("tasks, failure, metrics, collect and health tell what became of a version that is no good", () =>
    withRig(async (rig) => {
      await live(rig);
      expect(command(rig, "health").status).toBe(0);
      await rig.publish({ version: "1.1.0", how: "sick", within: 20_000 });
      const begun = await rig.client.begin("shop", "deploy", {});
      const judging = await eventually(
        () => rig.client.app("shop"),
        ({ underWay }) => underWay[0]?.step === "judge" && underWay[0].text?.includes("503") === true,
      );
      expect(judging.underWay).toMatchObject([
        { operation: begun.id, kind: "deploy", state: "running", version: "1.1.0", from: 1, to: 2, step: "judge" },
      ]);
      const text = command(rig, "status", "shop", "--no-json").text;
      expect(text).toMatch(/generation 2 \(trial\): binaries 1\.1\.0 \(\w+\), config 1, data first \(format 1\)/);
      expect(text).toMatch(/under way: operation 2, deploy 1\.1\.0, generation 1 → 2\n {4}step judge: .*503/);
      expect(command(rig, "health")).toMatchObject({ status: 2, json: { verdict: "unknown" } });
      const failed = await rig.client.wait(begun, () => {}, AbortSignal.timeout(60_000));
      expect(failed).toMatchObject({ state: "failed", reverted: true });

      const tasks = command(rig, "tasks", String(failed.id)).json as { tasks: { name: string; state: string }[] };
      expect(tasks.tasks.map(({ name, state }) => `${name} ${state}`)).toEqual(
        expect.arrayContaining(["fetch done", "flip undone", "start undone", "judge failed", "commit not reached"]),
      );
      const failure = command(rig, "failure", String(failed.id), "--no-json").text;
      expect(failure).toMatch(/failed and taken back.*judge.*bad .*503.*process \d+.*shop 1\.1\.0 begins as sick/s);
      expect(command(rig, "failure", String(failed.id)).json).toMatchObject({
        checks: [{ ok: false, detail: expect.stringContaining("503") }],
        events: expect.arrayContaining([expect.objectContaining({ kind: "operation.reverting" })]),
        machine: { disk: { free: expect.any(Number) } },
      });

      const node = parseCollect(command(rig, "collect").json);
      expect(node).toMatchObject({
        health: "green",
        apps: [
          {
            app: "shop",
            restarts: 0,
            lastUpdate: { operation: failed.id, state: "failed", reverted: true, version: "1.1.0" },
          },
        ],
        quarantine: [{ app: "shop" }],
      });
      expect(node.hostd.memory).toBeGreaterThan(10e6);
      const metrics = command(rig, "metrics", "--no-json").text;
      for (const line of [
        'hostd_operations_total{app="shop",kind="deploy",outcome="done"} 1',
        'hostd_operations_total{app="shop",kind="deploy",outcome="reverted"} 1',
        "hostd_operations_pending 0",
        'hostd_app_generation{app="shop"} 1',
        'hostd_app_healthy{app="shop"} 1',
        'hostd_health{verdict="green"} 1',
        'hostd_update_success{app="shop"} 0',
        'hostd_app_restarts_total{app="shop"} 0',
        "hostd_quarantined_images 1",
      ]) {
        expect(metrics.split("\n")).toContain(line);
      }
      expect(metrics).toMatch(/^hostd_app_stage_seconds\{app="shop"\} \d/m);
      expect(metrics).toMatch(/^process_resident_memory_bytes \d{8,}$/m);
      const longest = [failure, text, command(rig, "tasks", "2", "--no-json").text].map((one) => one.length);
      expect(Math.min(...longest)).toBeGreaterThan(100);
      await rig.stop();
      expect(command(rig, "health")).toMatchObject({
        status: 2,
        json: { verdict: "unknown", error: { code: "not-running" } },
      });
    }));
});

async function live(rig: Rig) {
  await rig.publish({ version: "1.0.0", stable: 200 });
  await rig.start();
  expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
}

function command(rig: Rig, verb: string, ...words: string[]) {
  const result = spawnSync(hostd, [verb, "--socket", socketOf(rig), ...words], { encoding: "utf8", timeout: 30_000 });
  const text = result.stdout;
  const json: unknown = text.startsWith("{") ? JSON.parse(text) : undefined;
  return { status: result.status, text, json, error: result.stderr };
}

function socketOf(rig: Rig): string {
  return join(rig.run, "hostd.sock");
}

function namespaceOf(pid: number | undefined, kind: string): string {
  return spawnSync("readlink", [`/proc/${pid}/ns/${kind}`], { encoding: "utf8" }).stdout.trim();
}

function userOf(pid: number | undefined): number {
  return Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** A `sleep 60` in the pid namespace of a process. */
function sleeperIn(pid: number | undefined): number | undefined {
  const own = namespaceOf(pid, "pid");
  const found = spawnSync("pgrep", ["-x", "sleep"], { encoding: "utf8" }).stdout.trim().split("\n");
  const sleeper = found.find((one) => one !== "" && namespaceOf(Number(one), "pid") === own);
  return sleeper === undefined ? undefined : Number(sleeper);
}
