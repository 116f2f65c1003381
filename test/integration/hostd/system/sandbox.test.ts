import { execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { withTemporaryDirectory } from "../../../../effects/temporary.ts";
import type { HookResult } from "../../../../hostd/system/node.ts";
import type { Health } from "../../../../manifests/app.ts";
import { freePort } from "../../../free-port.ts";
import { describeWith } from "../../../needs.ts";
import { allCommands, eventually, type Fixture, makeDirectory, serverSpec, shellSpec, withNode } from "./fixture.ts";
import { makeRoot, useRoot } from "./root.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl"] };

const OPERATE = fileURLToPath(new URL("./operate.ts", import.meta.url));
const root = useRoot();

const withRoot = (use: (fixture: Fixture & { root: string }) => Promise<void>) =>
  withNode((fixture) => use({ ...fixture, root: root() }));

const hook = (fixture: Fixture & { root: string }, script: string, options = {}): Promise<HookResult> =>
  fixture.node.runHook({ ...shellSpec(fixture.root, 1, script, options), timeoutMs: 10_000 });

const exec = (command: string[], timeout = 5000): Health => ({
  ...{ kind: "exec", interval: 1000, within: 1000, stable: 0 },
  command,
  timeout,
});

describeWith(NEEDS, "the sandbox", () => {
  test("a process has no privilege, its own user, and nothing of the node's environment or descriptors", () =>
    withRoot(async (fixture) => {
      const script = `id; while read -r line; do case $line in Cap*|NoNew*|Groups*) echo "$line";; esac; done < /proc/self/status
        echo $$ /proc/self/fd/*; cat /proc/$$/environ`;
      const { output, exitCode } = await hook(fixture, script, { env: { GREETING: "a b", EMPTY: "" } });
      expect(exitCode).toBe(0);
      const [id, ...rest] = output.split("\n");
      expect(id).toBe("uid=61184 gid=61184 groups=61184");
      expect(rest).toContain("NoNewPrivs:\t1");
      for (const kind of ["Inh", "Prm", "Eff", "Bnd", "Amb"]) expect(rest).toContain(`Cap${kind}:\t0000000000000000`);
      expect(rest).toContain("2 /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3"); // 3 is the glob's own
      const environment = (rest.at(-1) ?? "")
        .split("\0")
        .filter((pair) => pair !== "")
        .sort();
      const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
      expect(environment).toEqual(["EMPTY=", "GREETING=a b", path]);
    }));

  test("an image's environment never reaches the programs that make the sandbox", () =>
    withRoot(async (fixture) => {
      const trap = join(fixture.directory, "trap");
      writeFileSync(join(fixture.directory, "Evil.pm"), `open(my $f, ">", "${trap}"); 1;`);
      const env = { PERL5OPT: `-I${fixture.directory} -MEvil`, BASH_ENV: trap, LD_LIBRARY_PATH: "/nowhere" };
      await hook(fixture, "true", { env });
      await fixture.node.ensureHolder("shop", []);
      await fixture.node.start(shellSpec(fixture.root, 1, "sleep 100", { env }));
      const checked = await fixture.node.check(exec(["/bin/sh", "-c", "echo $PERL5OPT"]), {
        app: "shop",
        generation: 1,
      });
      expect(checked.detail).toBe(`exit code 0: ${env.PERL5OPT}`);
      expect(existsSync(trap)).toBe(false);
    }));

  test("the image is read-only and mount points it lacks are there, whatever it holds", () =>
    withRoot(async (fixture) => {
      const data = makeDirectory(fixture.directory, "data");
      execFileSync("chown", ["61184:61184", data]);
      const source = join(fixture.directory, "config.json");
      writeFileSync(source, "{}");
      const options = {
        data: { source: data, target: "/var/lib/shop" },
        config: [{ source, target: "/etc/shop/config.json" }],
        workdir: "/var/lib/shop",
      };
      const script = `cat /etc/shop/config.json; pwd
        for d in /tmp /run /var/lib/shop /dev/shm; do echo x > $d/file || echo cannot $d; done
        for d in / /etc /etc/shop/config.json /opt /proc/sys/kernel/hostname /usr/bin; do (echo x > $d/file) 2>/dev/null && echo may $d; done
        [ -c /dev/null ] && [ -r /proc/1/stat ] && echo complete`;
      const { output } = await hook(fixture, script, options);
      expect(output).toBe("{}/var/lib/shop\ncomplete\n");
      expect(readFileSync(join(data, "file"), "utf8")).toBe("x\n");
      expect(statSync(join(data, "file")).uid).toBe(61184);
      expect(existsSync(join(fixture.root, "proc"))).toBe(false);
    }));

  test("the node's own files and processes are out of reach", () =>
    withRoot(async (fixture) => {
      writeFileSync(join(fixture.directory, "secret"), "secret");
      chmodSync(fixture.directory, 0o755);
      const script = `cat ${fixture.directory}/secret /proc/1/root/etc/passwd /app/opt/server.pl /enter.pl; cd /proc; echo [0-9]*; echo /*`;
      const { output } = await hook(fixture, script);
      expect(output).not.toContain("secret\n");
      expect(output).not.toContain("root:");
      expect(output).toMatch(/\n1 2\n\/bin \/dev \/etc \/lib \/lib64 \/link \/opt \/proc \/run \/tmp \/usr\n$/);
    }));

  test("names resolve in an image made from scratch", () =>
    withRoot(async (fixture) => {
      for (const file of ["/etc/hosts", "/etc/resolv.conf"].filter(existsSync)) {
        expect((await hook(fixture, `cat ${file}`)).output).toBe(readFileSync(file, "utf8"));
      }
      const other = makeDirectory(fixture.directory, "root");
      makeRoot(other);
      makeDirectory(other, "etc");
      symlinkSync("../run/none", join(other, "etc/hosts"));
      expect((await hook({ ...fixture, root: other }, "cat /etc/hosts")).output).toMatch(/No such file/);
    }));

  test("a target that is something else in the image is refused by name", () =>
    withRoot(async (fixture) => {
      const spec = { data: { source: fixture.directory, target: "/opt/server.pl" } };
      await expect(hook(fixture, "true", spec)).rejects.toMatchObject({
        code: "start-failed",
        message: "/opt/server.pl: expected a directory or nothing in the image, got something else",
      });
    }));
});

describeWith(NEEDS, "hooks", () => {
  test("a hook answers its exit code and the output of both streams", () =>
    withRoot(async (fixture) => {
      const { exitCode, output, timedOut } = await hook(fixture, "echo out; echo err >&2; exit 4");
      expect({ exitCode, output, timedOut }).toEqual({ exitCode: 4, output: "out\nerr\n", timedOut: false });
    }));

  test("a hook that cannot be run says why", () =>
    withRoot(async ({ node, root }) => {
      const result = await node.runHook({ ...serverSpec(root, 1, { command: ["migrate"] }), timeoutMs: 5000 });
      expect(result).toEqual({ exitCode: 127, output: "migrate: No such file or directory", timedOut: false });
    }));

  test("a hook is killed with all it started when its time is over", () =>
    withRoot(async (fixture) => {
      const spec = shellSpec(fixture.root, 1, "echo begun; sleep 54321 & sleep 54321");
      const started = performance.now();
      const result = await fixture.node.runHook({ ...spec, timeoutMs: 3_000 });
      expect(result).toMatchObject({ timedOut: true, output: "begun\n" });
      expect(performance.now() - started).toBeLessThan(20_000);
      await eventually(
        async () => allCommands().includes("sleep\x0054321\0"),
        (there) => !there,
      );
    }));
});

describeWith(NEEDS, "what hostd runs itself", () => {
  test.each([
    ["a hook", "runHook", "71001"],
    ["an exec check", "check", "71002"],
  ])("%s dies with a hostd that is killed", (_, method, seconds) =>
    withRoot(async ({ node, root, state, run }) => {
      await node.ensureHolder("shop", []);
      await node.start(shellSpec(root, 1, "sleep 71000"));
      const hookInput = { ...shellSpec(root, 2, `sleep ${seconds}; true`), timeoutMs: 60_000 };
      const checkInput = exec(["sh", "-c", `exec sleep ${seconds}`], 60_000);
      const input = method === "runHook" ? [hookInput] : [checkInput, { app: "shop", generation: 1 }];
      const child = spawn(process.execPath, [OPERATE, state, run, method, ...input.map((one) => JSON.stringify(one))]);
      const commands = async () => allCommands().filter((line) => line === `sleep\0${seconds}\0`).length;
      await eventually(commands, (count) => count === 1);
      child.kill("SIGKILL");
      await eventually(commands, (count) => count === 0);
      expect((await node.running("shop"))[0]?.exited).toBeUndefined();
    }),
  );
});

describeWith(NEEDS, "health checks", () => {
  test("an exec check runs beside the app: same namespaces, user, environment and directory, no sockets", () =>
    withRoot(async (fixture) => {
      const { node, root } = fixture;
      const port = await freePort();
      await node.ensureHolder("shop", [{ address: "127.0.0.1", port }]);
      await node.start(serverSpec(root, 1, { env: { NAME: "value" }, workdir: "/opt" }));
      const script =
        'id -u; pwd; echo "$NAME" "$LISTEN_FDS"; read -r a b c < /proc/2/comm; echo $a; echo /proc/self/fd/*';
      const { ok, detail } = await node.check(exec(["sh", "-c", script]), { app: "shop", generation: 1 });
      expect(detail).toBe(
        "exit code 0: 61184 /opt value perl /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3",
      );
      expect(ok).toBe(true);
    }));

  test.each([
    [["sh", "-c", "echo no >&2; exit 3"], "exit code 3: no"],
    [["/nothing"], "exit code 127: /nothing: No such file or directory"],
    [["sh", "-c", "kill -9 $$"], "exit code 137"],
  ])("an exec check of %j is unhealthy and says `%s`", (command, detail) =>
    withRoot(async ({ node, root }) => {
      await node.ensureHolder("shop", []);
      await node.start(shellSpec(root, 1, "sleep 100"));
      const result = await node.check(exec(command), { app: "shop", generation: 1 });
      expect(result).toMatchObject({ ok: false, detail });
    }),
  );

  test("an exec check that hangs is killed inside the app's namespace, and the app goes on", () =>
    withRoot(async ({ node, root }) => {
      await node.ensureHolder("shop", []);
      await node.start(shellSpec(root, 1, "sleep 100"));
      const result = await node.check(exec(["sleep", "300"], 200), { app: "shop", generation: 1 });
      expect(result).toMatchObject({ ok: false, detail: "no end within 200 ms" });
      expect(result.took).toBeGreaterThanOrEqual(200);
      const list = exec(["sh", "-c", "cat /proc/[0-9]*/cmdline"]);
      const { detail } = await node.check(list, { app: "shop", generation: 1 });
      expect(detail).not.toContain("300");
      expect((await node.running("shop"))[0]?.exited).toBeUndefined();
    }));

  test("http is healthy from 200 to 299 and says what it got", () =>
    withRoot(async ({ node, root }) => {
      const port = await freePort();
      await node.ensureHolder("shop", [{ address: "127.0.0.1", port }]);
      await node.start(serverSpec(root, 1));
      const http = (path: string, timeout = 2000): Health => ({
        ...{ kind: "http", interval: 1000, within: 1000, stable: 0 },
        url: `http://localhost:${port}${path}`,
        timeout,
      });
      const at = { app: "shop", generation: 1 };
      expect(await node.check(http("/"), at)).toMatchObject({ ok: true, detail: "200 OK" });
      expect(await node.check(http("/sick"), at)).toMatchObject({ ok: false, detail: "503 Sick: v1" });
      expect(await node.check({ ...http("/"), kind: "tcp", host: "localhost", port } as Health, at)).toMatchObject({
        ok: true,
      });
      await node.stop("shop", 1, 5000);
      expect(await node.check(http("/"), at)).toMatchObject({ ok: false, detail: "ended: exit code 0" });
      expect(await node.check(http("/"), { app: "shop", generation: 2 })).toMatchObject({
        ok: false,
        detail: "not running",
      });
      await node.start(shellSpec(root, 2, "sleep 100", { listenFds: 1 }));
      const hung = await node.check(http("/", 150), { app: "shop", generation: 2 });
      expect(hung).toMatchObject({ ok: false, detail: "no answer within 150 ms" });
    }));
});

describeWith(NEEDS, "what a node keeps", () => {
  test("configuration is whole, below one directory, and readable by the app alone", () =>
    withNode(async ({ node, state }) => {
      const files = [
        { path: "/etc/shop/config.json", bytes: '{"a":1}' },
        { path: "/etc/motd", bytes: "hello" },
      ];
      const directory = join(state, "apps/shop/config/4");
      expect(await node.writeConfig("shop", 4, files)).toEqual({
        config: files.map(({ path }) => ({ source: join(directory, path), target: path })),
      });
      for (const { path, bytes } of files) {
        expect(readFileSync(join(directory, path), "utf8")).toBe(bytes);
        const { uid, gid, mode } = statSync(join(directory, path));
        expect([uid, gid, mode & 0o777]).toEqual([0, 61184, 0o440]);
      }
      await node.writeConfig("shop", 4, files.slice(1));
      expect(existsSync(join(directory, "etc/shop"))).toBe(false);
      await expect(node.writeConfig("shop", 5, [{ path: "/a/../b", bytes: "" }])).rejects.toMatchObject({
        code: "wrong-name",
      });
      await node.removeGeneration("shop", 4);
      expect(existsSync(directory)).toBe(false);
    }));

  test("every app has a user of its own for ever, other apps' data and files closed to it", () =>
    withRoot(async (fixture) => {
      const { node, state } = fixture;
      const owners = [];
      for (const app of ["shop", "mail", "shop"]) owners.push(statSync(await node.dataPath(app)).uid);
      expect(owners).toEqual([61184, 61185, 61184]);
      await node.removeHolder("mail");
      expect(statSync(await node.dataPath("news")).uid).toBe(61186);
      expect(statSync(state).mode & 0o777).toBe(0o700);
    }));

  test("free bytes are those of the state directory, and wrong names are refused", () =>
    withNode(async ({ node, state }) => {
      const { stdout } = { stdout: execFileSync("df", ["--output=avail", "--block-size=1", state]).toString() };
      const expected = Number(stdout.split("\n")[1]);
      expect(Math.abs((await node.freeBytes()) - expected)).toBeLessThan(1024 ** 3);
      await expect(node.dataPath("../shop")).rejects.toMatchObject({ code: "wrong-name" });
      await expect(node.snapshot("shop", "../x")).rejects.toMatchObject({ code: "wrong-name" });
      await expect(node.removeLayer("../x", () => true)).rejects.toMatchObject({ code: "wrong-name" });
    }));

  test("a run directory with characters that mount options cannot hold is refused", () =>
    withTemporaryDirectory(tmpdir(), async (directory) => {
      const { openNode } = await import("../../../../hostd/system/node.ts");
      const open = openNode({ stateDirectory: join(directory, "s"), runDirectory: join(directory, "a:b,c") });
      await expect(open).rejects.toMatchObject({ code: "wrong-name" });
    }));
});
