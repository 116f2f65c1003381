import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "../../../effects/process.ts";
import { pathsOf } from "../../../hostd/system/paths.ts";
import type { Digest } from "../../../manifests/digest.ts";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };
const root = join(import.meta.dirname, "../../..");

describeWith(NEEDS, "the commands hostd and ostler", () => {
  test("deploy, status, history and rollback: text for people, JSON in a pipe, exit codes that never call a revert a success", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0" });
      await rig.start();
      const deployed = command(rig, "ostler", "deploy", "shop");
      expect(deployed).toMatchObject({ status: 0, json: { state: "done", version: "1.0.0" } });
      expect(command(rig, "ostler", "deploy", "shop", "--no-json").text).toContain("1.0.0 runs already");
      expect(command(rig, "hostd", "activate", "shop").json).toMatchObject({
        state: "done",
        notes: ["1.0.0 runs already"],
      });

      await rig.publish({ version: "1.1.0", how: "sick", within: 300 });
      const reverted = command(rig, "ostler", "deploy", "shop", "--no-json");
      expect(reverted.status).toBe(1);
      expect(reverted.text).toMatch(/failed and taken back.*why: .*503.*generation 1 is healthy again/s);

      const status = command(rig, "ostler", "status", "--no-json").text;
      expect(status).toMatch(
        /shop: healthy, generation 1 \(good\): binaries 1\.0\.0 .*config 1, data first \(format 1\)/,
      );
      expect(status).toMatch(/● +1\.0\.0/);
      expect(status).toMatch(/quarantined:\n {2}shop [0-9a-f]{12}: .*503/);
      expect(command(rig, "hostd", "status", "shop").json).toMatchObject({ app: "shop", current: { number: 1 } });
      expect(command(rig, "hostd", "status", "shop", "--no-json").text).toMatch(/ 1\.1\.0 .* failed, quarantined /);

      const history = command(rig, "ostler", "history", "shop", "--no-json").text.split("\n");
      expect(history[2]).toMatch(/deploy shop +1\.1\.0 +failed and taken back$/);
      expect(history[3]).toMatch(/^ {4}[0-9a-f]{12}, \d+\.\d s, by \S+@\S+$/);
      expect(history[4]).toMatch(/^ {4}why: .*503/);
      const changes = command(rig, "hostd", "changes").json as { changes: { id: number; state: string; by: string }[] };
      const failed = changes.changes[0];
      expect(failed).toMatchObject({ state: "failed", by: expect.stringContaining("@") });
      expect(command(rig, "hostd", "changes", String(failed?.id), "--no-json").text).toMatch(
        /flip +\S+Z +\d+ ms +\S+Z.*judge/s,
      );
      expect(command(rig, "hostd", "failure", String(failed?.id)).json).toMatchObject({
        log: expect.stringContaining("sick"),
      });

      expect(command(rig, "ostler", "rollback", "shop")).toMatchObject({
        status: 3,
        json: { error: { code: "no-rollback-target", outcome: "refused" } },
        error: expect.stringMatching(/^error: shop has no earlier good version.*\nhint: /),
      });
      expect(command(rig, "hostd", "health").status).toBe(0);
      expect(command(rig, "hostd", "logs", "shop", "--no-json").text).toContain("shop 1.0.0 begins as good");
      expect(command(rig, "hostd", "snapshot", "create", "shop").status).toBe(0);
      const listed = command(rig, "hostd", "snapshot", "list", "shop", "--no-json").text;
      expect(listed).toContain("asked for");
      const asked = /asked-\S+/.exec(listed)?.[0] ?? "";
      await rig.record();
      const restored = command(rig, "hostd", "snapshot", "restore", "shop", asked, "--no-json");
      expect(restored).toMatchObject({
        status: 0,
        text: expect.stringContaining(`took the data back to snapshot ${asked}`),
      });
      expect(await rig.records()).toEqual([]);
      expect(await rig.get("/version")).toBe("1.0.0");
      expect(command(rig, "hostd", "snapshot", "restore", "shop", "none")).toMatchObject({
        status: 2,
        json: { error: { code: "unknown-snapshot" } },
      });
    }));

  test("abort says 0 only where the operation was ended: one that is done before it heard of that says 1", () =>
    withRig(async (rig) => {
      const green = join(rig.directory, "checks/green.d");
      mkdirSync(green, { recursive: true });
      writeFileSync(join(green, "10-slow"), "#!/bin/sh\nsleep 12\n", { mode: 0o755 });
      await rig.publish({ version: "1.0.0", stable: 100 });
      await rig.start({ options: ["--checks", join(rig.directory, "checks")] });
      const begun = await rig.client.begin("shop", "deploy", {});
      await eventually(
        () => rig.client.operation(begun.id),
        ({ steps }) => steps.at(-1)?.started !== undefined,
      );
      const late = command(rig, "hostd", "abort", String(begun.id));
      expect(late).toMatchObject({ status: 1, json: { state: "done" } });
    }));

  test("an operation is followed across a new start of hostd, and who leaves it before its end is not told that it succeeded", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0", stable: 100 });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      rig.arm({ point: "restart.bounce.after", action: "kill" });
      const followed = commandBeside(rig, "restart", "shop");
      await rig.ended();
      await rig.start();
      expect(await followed.ended).toMatchObject({ code: 0, text: expect.stringMatching(/restart shop.*: done/) });

      rig.arm({ point: "restart.bounce.after", action: "pause" });
      const left = commandBeside(rig, "restart", "shop");
      await rig.reached();
      left.interrupt();
      expect(await left.ended).toMatchObject({
        code: 130,
        text: expect.stringMatching(/under way.*hostd changes \d/s),
      });
    }));

  test.each([
    ["health", [], /left before hostd answered on \S+hostd\.sock\n$/],
    ["fsck", [], /may have begun, and then it goes on\nhint: hostd changes /],
    ["restart", ["shop"], /may have begun, and then it goes on\nhint: hostd changes /],
  ])(
    "Ctrl-C while hostd owes an answer ends %s with 130, and says where something may have begun",
    async (verb, words, told) => {
      const directory = mkdtempSync(join(tmpdir(), "command-"));
      const socket = join(directory, "hostd.sock");
      const silent = createServer();
      try {
        await once(silent.listen(socket), "listening");
        const asked = once(silent, "connection");
        const child = spawn(join(root, "bin/hostd"), [verb, ...words, "--socket", socket], {
          stdio: ["ignore", "ignore", "pipe"],
          timeout: 10_000,
          killSignal: "SIGKILL",
        });
        let error = "";
        child.stderr.on("data", (chunk) => {
          error += chunk;
        });
        const [connection] = await asked;
        await once(connection, "data");
        child.kill("SIGINT");
        expect(await once(child, "close")).toEqual([130, null]);
        expect(error).toMatch(told);
        connection.destroy();
      } finally {
        silent.close();
        rmSync(directory, { recursive: true });
      }
    },
  );

  test("prune tells of each app what became of it, a busy one keeps none from it, and a log of a generation that never was is none", () =>
    withRig(async (rig) => {
      await rig.start({ options: ["--keep", "9"] });
      let busy = "";
      for (const version of ["1.0.0", "1.1.0", "1.2.0", "1.3.0"]) {
        await rig.publish({ version, stable: 100 });
        const { image = "" } = await rig.operate("deploy");
        if (version === "1.0.0") busy = image;
      }
      const slot = pathsOf({ stateDirectory: rig.state, runDirectory: rig.run }).slot("shop", busy as Digest);
      const standing = spawn("sleep", ["60"], { cwd: slot });
      try {
        const pruned = command(rig, "hostd", "prune", "--keep", "1", "--no-json");
        expect(pruned.status).toBe(1);
        expect(pruned.text).toMatch(/^collected 1 version and \d+ layers?\n {2}shop 1\.1\.0 .*prune shop: failed/s);
      } finally {
        standing.kill("SIGKILL");
      }
      expect(command(rig, "hostd", "prune", "--keep", "1", "--no-json")).toMatchObject({
        status: 0,
        text: expect.stringMatching(/^collected 1 version and \d+ layers?\n {2}shop 1\.0\.0/),
      });
      await rig.publish({ version: "1.4.0", stable: 100 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await rig.publish({ name: "backup", version: "1.0.0", job: { seconds: 60, exit: 0 } });
      await rig.client.begin("backup", "deploy", {});
      await eventually(
        () => rig.client.app("backup").catch(() => undefined), // it is not here yet
        (app) => app?.lastRun?.state === "running",
      );
      expect(command(rig, "hostd", "prune", "--keep", "1", "--no-json")).toMatchObject({
        status: 4,
        text: expect.stringMatching(/^collected 1 version.*\n {2}shop 1\.2\.0.*\nbackup: .*operation/s),
      });
      expect(command(rig, "hostd", "prune", "--keep", "x")).toMatchObject({
        status: 2,
        json: { error: { message: "--keep: expected a whole number from 1 to 1000, got x" } },
      });
      expect(command(rig, "hostd", "logs", "shop", "--generation", "99")).toMatchObject({
        status: 2,
        json: { error: { code: "unknown-image", message: "shop has no generation 99" } },
      });
      expect(command(rig, "hostd", "logs", "shop", "--generation", "1")).toMatchObject({
        status: 2,
        json: { error: { code: "unknown-image", message: expect.stringContaining("1 is not kept any more") } },
      });
      expect(command(rig, "hostd", "logs", "shop", "--generation", "4").status).toBe(0);
    }));

  test("config diff changes nothing: no config version is made by looking", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0", stable: 100 });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await rig.publish({ version: "1.1.0", stable: 100 });
      const { image = "" } = await rig.operate("stage");
      for (const greeting of ["one", "two", "three"]) {
        await rig.client.setLayer("node", "node.yaml", `greeting: ${greeting}\n`);
        expect((await rig.client.configDiff("shop")).files).toHaveLength(1);
        expect((await rig.client.configDiff("shop", image)).files).toHaveLength(1);
      }
      expect(await rig.operate("activate")).toMatchObject({ state: "done" });
      expect((await rig.client.app("shop")).current).toMatchObject({ config: 2 });
    }));

  test("without a hostd: which socket, and what starts one; with a wrong word: what was expected", () =>
    withRig(async (rig) => {
      const lonely = command(rig, "hostd", "status");
      expect(lonely).toMatchObject({ status: 1, json: { error: { code: "not-running" } } });
      expect(lonely.error).toContain(`nobody answers on ${rig.run}/hostd.sock`);
      expect(lonely.error).toContain("hint: hostd serve starts it");
      await rig.start();
      expect(command(rig, "hostd", "status", "shop")).toMatchObject({
        status: 2,
        json: { error: { code: "unknown-app" } },
      });
      expect(command(rig, "hostd", "stage", "../shop")).toMatchObject({
        status: 2,
        json: { error: { code: "bad-request" } },
      });
      expect(command(rig, "hostd", "stage", "web")).toMatchObject({
        status: 3,
        json: { reason: { code: "no-release", hint: "ostler promote web --to production releases it" } },
      });
      expect(command(rig, "hostd", "changes", "web", "--no-json").text).toContain("stage web");
      for (const words of [
        ["snapshot", "list", "shop"],
        ["changes", "shop"],
        ["logs", "shop"],
      ]) {
        expect(command(rig, "hostd", ...words)).toMatchObject({ status: 2, json: { error: { code: "unknown-app" } } });
      }
      expect(command(rig, "hostd", "changes", "99")).toMatchObject({ status: 2 });
      expect(command(rig, "hostd", "rolback", "shop").error).toContain("did you mean hostd rollback?");
    }));

  test("reset is refused while hostd runs; afterwards it stops the apps and keeps what it was asked to keep", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0" });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await rig.record();
      await rig.publish({ version: "2.0.0", format: 2, reads: ">=1 <3" });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      const reset = (...words: string[]) =>
        spawnSync(join(root, "bin/hostd"), ["reset", "--state", rig.state, ...words], { encoding: "utf8" });
      expect(reset("--wipe").stderr).toContain("another hostd holds this state directory");
      expect(await rig.get("/version")).toBe("2.0.0");
      await rig.stop();
      const elsewhere = reset("--wipe", "--run", join(rig.directory, "elsewhere"));
      expect(elsewhere.status).toBe(1);
      expect(elsewhere.stderr).toContain(`expected --state ${rig.state} --run ${rig.run}, where shop lives`);
      expect(await rig.get("/version")).toBe("2.0.0");
      const kept = reset("--keep-data");
      expect([kept.status, JSON.parse(kept.stdout)]).toMatchObject([0, { stopped: ["shop"], snapshots: 1 }]);
      await expect(rig.get("/version")).rejects.toThrow();
      expect(readdirSync(rig.state).sort()).toEqual(["data", "data.json", "trust", "users.json"]);
      expect(readdirSync(join(rig.state, "data/shop/snapshots"))).toEqual([]);
      await rig.start();
      expect(readdirSync(rig.state)).not.toContain("data.json");
      await rig.publish({ version: "1.1.0" });
      expect(await rig.operate("deploy")).toMatchObject({
        state: "failed",
        reason: { code: "data-format", message: "shop 1.1.0 reads format 1, the data is format 2" },
      });
      await rig.publish({ version: "2.1.0", format: 2 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      expect(await rig.records()).toEqual(["0 by 1.0.0"]);
      await rig.stop();
      writeFileSync(join(rig.state, "hostd.db"), "damaged");
      expect(JSON.parse(reset("--keep-data").stdout)).toMatchObject({ formatsLost: true });
      expect(readdirSync(rig.state).sort()).toEqual(["data", "trust", "users.json"]);
      await rig.start();
      await rig.stop();
      for (const name of ["hostd.db", "hostd.db-mark"]) rmSync(join(rig.state, name)); // the copy tells of it
      expect(reset("--wipe").status).toBe(0);
      expect(readdirSync(rig.state)).toEqual([]);
    }));

  test("a second hostd on the same state is refused, touches nothing of it, and the first goes on", () =>
    withRig(async (rig) => {
      await rig.start();
      const versions = join(rig.state, "data/shop/versions"); // as in the middle of a restore
      for (const name of ["first", "coming"]) mkdirSync(join(versions, name), { recursive: true });
      symlinkSync("versions/first", join(rig.state, "data/shop/live"));
      const ballast = () => readdirSync(rig.state).filter((name) => name === "ballast");
      expect(ballast()).toHaveLength(1);
      const options = [
        "--state",
        rig.state,
        "--run",
        join(rig.directory, "run2"),
        "--repository",
        rig.publisher.directory,
      ];
      const second = spawnSync(join(root, "bin/hostd"), ["serve", ...options], { encoding: "utf8", timeout: 20_000 });
      expect(second.status).toBe(1);
      expect(second.stderr).toContain("another hostd holds this state directory");
      expect(readdirSync(versions)).toEqual(["coming", "first"]);
      expect(ballast()).toHaveLength(1);
      expect((await rig.client.status()).apps).toEqual([]);
    }));

  test("a hostd that cannot have its socket, its data or its key for secrets ends as a whole", () =>
    withRig(async (rig) => {
      mkdirSync(rig.run, { recursive: true });
      const other = createServer().listen(join(rig.run, "hostd.sock"));
      await once(other, "listening");
      const options = ["--state", rig.state, "--run", rig.run, "--repository", rig.publisher.directory];
      const words = ["serve", ...options, "--root", rig.publisher.rootFile];
      const ended = await run([join(root, "bin/hostd"), ...words], { timeout: 20_000 }).catch((error) => error);
      expect(ended).toMatchObject({ exitCode: 1, timedOut: false });
      expect(ended.message).toMatch(/another hostd answers there/);
      other.close();
      const far = ["--run", join(rig.directory, "x".repeat(120))];
      const refused = await run([join(root, "bin/hostd"), ...words, ...far], { timeout: 20_000 }).catch(
        (error) => error,
      );
      expect(refused.exitCode).toBe(2);
      expect(refused.message).toMatch(
        /--run: expected a directory whose socket has a path of at most 107 bytes, got \//,
      );
      const noData = [...words, "--data", "lvm:nowhere/pool"];
      const again = await run([join(root, "bin/hostd"), ...noData], { timeout: 20_000 }).catch((error) => error);
      expect(again).toMatchObject({ exitCode: 1, timedOut: false });
      expect(again.message).toContain("nowhere");
      const key = join(rig.directory, "key");
      for (const found of ["no file", "6 bytes"]) {
        if (found !== "no file") writeFileSync(key, "secret");
        const noKey = await run([join(root, "bin/hostd"), ...words, "--secrets-key", key], { timeout: 20_000 }).catch(
          (error) => error,
        );
        expect(noKey).toMatchObject({ exitCode: 1, timedOut: false });
        expect(noKey.message).toContain(`${key}: expected a key of at least 32 bytes, found ${found}`);
      }
    }));
});

/** A command of hostd that goes on beside the test. */
function commandBeside(rig: Rig, ...words: string[]) {
  const child = spawn(join(root, "bin/hostd"), [...words, "--no-json", "--socket", join(rig.run, "hostd.sock")], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  const ended = once(child, "close").then(([code]) => ({ code, text }));
  return { ended, interrupt: () => child.kill("SIGINT") };
}

function command(rig: Rig, program: "hostd" | "ostler", ...words: string[]) {
  const result = spawnSync(join(root, "bin", program), [...words, "--socket", join(rig.run, "hostd.sock")], {
    encoding: "utf8",
    timeout: 60_000,
  });
  const text = result.stdout;
  const json: unknown = text.startsWith("{") ? JSON.parse(text) : undefined;
  return { status: result.status, text, json, error: result.stderr };
}
