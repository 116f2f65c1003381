import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { withTemporaryDirectory } from "../../../../effects/temporary.ts";
import { openNode } from "../../../../hostd/system/node.ts";
import { isAlive } from "../../../../hostd/system/proc.ts";
import { freePort } from "../../../free-port.ts";
import { connect } from "../../../launcher-contract.ts";
import { describeWith } from "../../../needs.ts";
import { allCommands, eventually, serverSpec, shellSpec, withNode } from "./fixture.ts";
import { useRoot } from "./root.ts";

const OPERATE = fileURLToPath(new URL("./operate.ts", import.meta.url));
const NEEDS = { root: true, programs: ["bwrap", "perl"] };
const root = useRoot();

const ask = async (port: number, path = "/") => (await fetch(`http://127.0.0.1:${port}${path}`)).text();

/** The holder's pid: the one process that has the app's lock file open. Throws where there is none: pid 0 is every process of the tests. */
function holderPid(run: string, app = "shop"): number {
  const lock = join(run, "apps", app, "holder.lock");
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const holder = pids.find((pid) => descriptorsOf(pid).some((descriptor) => targetOf(descriptor) === lock));
  if (holder === undefined) throw new Error(`expected a process that holds ${lock}`);
  return Number(holder);
}

function descriptorsOf(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((name) => `/proc/${pid}/fd/${name}`);
  } catch {
    return []; // the process ended while we looked, so it is not the one
  }
}

function targetOf(descriptor: string): string | undefined {
  try {
    return readlinkSync(descriptor);
  } catch {
    return undefined; // it was closed while we looked
  }
}

describeWith(NEEDS, "processes of an app", () => {
  test("an app is started with the socket, in its own pid namespace, and its exit code is kept", () =>
    withNode(async ({ node }) => {
      const port = await freePort();
      await node.ensureHolder("shop", [{ address: "127.0.0.1", port }]);
      const started = await node.start(serverSpec(root(), 1));
      expect(started.generation).toBe(1);
      expect(started.pid).toBeGreaterThan(2);
      expect(await ask(port)).toBe("v1");
      expect(await ask(port, "/pid")).toBe("2");
      await expect.poll(() => node.logs("shop")).toContain("serving v1 as 2 1 2\n");
      expect(await node.running("shop")).toEqual([started]);
      await node.stop("shop", 1, 5000);
      const [ended] = await node.running("shop");
      expect(ended).toMatchObject({ generation: 1, pid: started.pid, exited: { code: 0 } });
      expect(await node.logs("shop", 1)).toContain("draining\n");
      await node.stop("shop", 1, 5000);
    }));

  test.each([
    ["exit 7", { code: 7 }],
    ["exit 0", { code: 0 }],
    ["kill -9 $$", { code: 137, signal: "SIGKILL" }],
    ["kill -15 $$", { code: 143, signal: "SIGTERM" }],
  ])("an app that does `%s` is reported as it ended", (script, expected) =>
    withNode(async ({ node }) => {
      await node.ensureHolder("shop", []);
      await node.start(shellSpec(root(), 1, script));
      const [ended] = await eventually(
        () => node.running("shop"),
        ([one]) => one?.exited !== undefined,
      );
      expect(ended?.exited).toMatchObject(expected);
      expect(Object.keys(ended?.exited ?? {}).sort()).toEqual([...Object.keys(expected), "at"].sort());
    }),
  );

  test("an app that ignores SIGTERM is killed with all it started when its time is over", () =>
    withNode(async ({ node }) => {
      const port = await freePort();
      await node.ensureHolder("shop", [{ address: "127.0.0.1", port }]);
      const command = ["/bin/sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000 & while :; do sleep 1; done"];
      const { pid } = await node.start(serverSpec(root(), 1, { command }));
      const children = () =>
        readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
      const sleepers = await eventually(
        async () => children(),
        (found) => found.length === 3,
      );
      const before = performance.now();
      await node.stop("shop", 1, 300);
      expect(performance.now() - before).toBeGreaterThan(290);
      for (const one of [String(pid), ...sleepers]) expect(() => readFileSync(`/proc/${one}/stat`)).toThrow();
      expect((await node.running("shop"))[0]?.exited).toMatchObject({ code: 137, signal: "SIGKILL" });
    }));

  test("what an app leaves behind when it ends goes with it", () =>
    withNode(async ({ node }) => {
      await node.ensureHolder("shop", []);
      await node.start(shellSpec(root(), 1, "sleep 987654 & exit 5"));
      await eventually(
        () => node.running("shop"),
        ([one]) => one?.exited?.code === 5,
      );
      expect(allCommands().filter((line) => line === "sleep\x00987654\0")).toEqual([]);
    }));

  test("a program that is not there is a failed start that names it, and no running generation", () =>
    withNode(async ({ node }) => {
      await node.ensureHolder("shop", []);
      const failure = node.start(serverSpec(root(), 1, { command: ["/usr/bin/nothing"], listenFds: 0 }));
      await expect(failure).rejects.toMatchObject({
        code: "start-failed",
        message: "shop: /usr/bin/nothing: No such file or directory",
      });
      expect((await node.running("shop")).map((one) => one.exited?.code)).toEqual([127]);
      await expect(node.start(serverSpec(root(), 2, { workdir: "/nowhere", listenFds: 0 }))).rejects.toMatchObject({
        code: "start-failed",
        message: "shop: working directory /nowhere: No such file or directory",
      });
    }));

  test("a generation that runs is not started twice, and one that ended may be started again", () =>
    withNode(async ({ node }) => {
      await node.ensureHolder("shop", []);
      await node.start(shellSpec(root(), 1, "echo first; sleep 1000"));
      await eventually(
        () => node.logs("shop", 1),
        (text) => text === "first\n",
      );
      await expect(node.start(shellSpec(root(), 1, "sleep 1000"))).rejects.toMatchObject({ code: "already-running" });
      await node.stop("shop", 1, 1000);
      await node.start(shellSpec(root(), 1, "echo second; sleep 1000"));
      expect((await node.running("shop")).map(({ exited }) => exited)).toEqual([undefined]);
      await eventually(
        () => node.logs("shop", 1),
        (text) => text === "first\nsecond\n",
      );
    }));

  test("a log is cut at its limit and keeps its end", () =>
    withNode(async ({ node, state }) => {
      await node.ensureHolder("shop", []);
      const script =
        'i=0; while [ $i -lt 400000 ]; do echo "line $i 0123456789012345678901234567890123456789"; i=$((i+1)); done';
      await node.start(shellSpec(root(), 1, script));
      await eventually(
        () => node.running("shop"),
        ([one]) => one?.exited?.code === 0,
      );
      const sizes = ["1.log", "1.log.1"].map((name) => readFileSync(join(state, "apps/shop/log", name)).length);
      for (const size of sizes) expect(size).toBeLessThanOrEqual(8 * 1024 * 1024);
      expect((await node.logs("shop", 1)).endsWith("line 399999 0123456789012345678901234567890123456789\n")).toBe(
        true,
      );
    }));
});

describeWith(NEEDS, "LISTEN sockets", () => {
  test("a connection made while nothing runs waits and is answered by the next generation", () =>
    withNode(async ({ node }) => {
      const port = await freePort();
      await node.ensureHolder("shop", [{ address: "127.0.0.1", port }]);
      await node.start(serverSpec(root(), 1));
      await node.stop("shop", 1, 5000);
      const waiting = Promise.all(Array.from({ length: 40 }, () => ask(port)));
      await new Promise((resolve) => setTimeout(resolve, 50));
      await node.start(serverSpec(root(), 2));
      expect(new Set(await waiting)).toEqual(new Set(["v2"]));
    }));

  test("no connection is refused over ten switches under load", () =>
    withNode(async ({ node }) => {
      const port = await freePort();
      await node.ensureHolder("shop", [{ address: "127.0.0.1", port }]);
      await node.start(serverSpec(root(), 1));
      let stop = false;
      const failures: string[] = [];
      let answers = 0;
      const client = async () => {
        while (!stop)
          await connect(port).then(
            () => answers++,
            (error) => failures.push(String(error)),
          );
      };
      const clients = Array.from({ length: 4 }, client);
      for (let generation = 2; generation <= 11; generation++) {
        await node.stop("shop", generation - 1, 5000);
        await node.start(serverSpec(root(), generation));
        const before = answers;
        await eventually(
          async () => answers,
          (now) => now > before + 20,
        );
      }
      stop = true;
      await Promise.all(clients);
      expect(failures).toEqual([]);
      expect(answers).toBeGreaterThan(100);
    }));

  test("a changed set keeps the kept socket open, adds the new one and closes the old one", () =>
    withNode(async ({ node }) => {
      const [one, two, three] = [await freePort(), await freePort(), await freePort()];
      const at = (port: number) => ({ address: "127.0.0.1", port });
      await node.ensureHolder("shop", [at(one), at(two)]);
      const kept = createConnection(two, "127.0.0.1");
      await once(kept, "connect");
      await node.ensureHolder("shop", [at(two), at(three)]);
      const answer = once(kept, "data");
      kept.write("GET / HTTP/1.0\r\n\r\n");
      await node.start(serverSpec(root(), 1));
      expect(String((await answer)[0])).toMatch(/v1$/);
      kept.destroy();
      await expect(connect(one)).rejects.toMatchObject({ code: "ECONNREFUSED" });
      await reach(three);
      await node.stop("shop", 1, 5000);
      await node.ensureHolder("shop", [
        { address: "0.0.0.0", port: two },
        { address: "::1", port: three },
      ]);
      await reach(two);
    }));

  test("a port in use is named with who has it, and the earlier sockets are kept", () =>
    withNode(async ({ node }) => {
      const [mine, wanted] = [await freePort(), await freePort()];
      await node.ensureHolder("shop", [{ address: "127.0.0.1", port: mine }]);
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(wanted, "127.0.0.1", resolve));
      const change = node.ensureHolder("shop", [
        { address: "127.0.0.1", port: mine },
        { address: "127.0.0.1", port: wanted },
      ]);
      await expect(change).rejects.toMatchObject({
        code: "port-in-use",
        message: expect.stringMatching(
          new RegExp(`port ${wanted} on 127.0.0.1 is in use by .+ \\(pid ${process.pid}\\)$`),
        ),
      });
      await new Promise((resolve) => other.close(resolve));
      await node.start(serverSpec(root(), 1));
      expect(await ask(mine)).toBe("v1");
    }));

  test("an address that is none is refused", () =>
    withNode(async ({ node }) => {
      const wrong = node.ensureHolder("shop", [{ address: "localhost", port: 1 }]);
      await expect(wrong).rejects.toMatchObject({ code: "holder-failed", message: /localhost 1 Invalid argument/ });
    }));
});

describeWith(NEEDS, "holders and the death of others", () => {
  test("holder, socket and app survive kill -9 of the hostd that started them, and are adopted", () =>
    withNode(async ({ state, run }) => {
      const port = await freePort();
      await operateAndKill(state, run, "ensureHolder", "shop", [{ address: "127.0.0.1", port }]);
      const started = await operateAndKill(state, run, "start", serverSpec(root(), 1));
      const holder = holderPid(run);
      expect(await ask(port)).toBe("v1");

      const next = await openNode({ stateDirectory: state, runDirectory: run });
      await next.ensureHolder("shop", [{ address: "127.0.0.1", port }]);
      expect(await next.running("shop")).toEqual([started]);
      expect(holderPid(run)).toBe(holder);
      expect(await ask(port)).toBe("v1");
    }));

  test("an exit code that nobody waited for is there for the next hostd", () =>
    withNode(async ({ state, run, node }) => {
      await operateAndKill(state, run, "ensureHolder", "shop", []);
      await operateAndKill(state, run, "start", shellSpec(root(), 3, "sleep 0.3; exit 9"));
      const [ended] = await eventually(
        () => node.running("shop"),
        ([one]) => one?.exited !== undefined,
      );
      expect(ended).toMatchObject({ generation: 3, exited: { code: 9 } });
    }));

  test("a stop is finished by the holder when hostd dies while it waits", () =>
    withNode(async ({ state, run, node }) => {
      await node.ensureHolder("shop", []);
      await node.start(shellSpec(root(), 1, "trap 'echo asked' TERM; while :; do sleep 0.1; done"));
      const child = spawn(process.execPath, [OPERATE, state, run, "stop", '"shop"', "1", "1500"]);
      await eventually(
        () => node.logs("shop"),
        (text) => text.includes("asked"),
      );
      child.kill("SIGKILL");
      await once(child, "exit");
      expect((await node.running("shop"))[0]?.exited).toBeUndefined();
      const [ended] = await eventually(
        () => node.running("shop"),
        ([one]) => one?.exited !== undefined,
      );
      expect(ended?.exited).toMatchObject({ code: 137 });
    }));

  test("an app dies with its holder; it is reported so, and the next holder takes the port again", () =>
    withNode(async ({ node, run }) => {
      const port = await freePort();
      await node.ensureHolder("shop", [{ address: "127.0.0.1", port }]);
      await node.start(shellSpec(root(), 1, "exit 3"));
      await eventually(
        () => node.running("shop"),
        ([one]) => one?.exited !== undefined,
      );
      const { pid } = await node.start(serverSpec(root(), 2));
      process.kill(holderPid(run), "SIGKILL");
      const records = await eventually(
        () => node.running("shop"),
        (all) => all.every((one) => one.exited !== undefined),
      );
      expect(records.map(({ generation, exited }) => [generation, exited?.code, exited?.signal])).toEqual([
        [1, 3, undefined],
        [2, undefined, undefined],
      ]);
      expect(await isAlive({ pid, start: 0 })).toBe(false);
      expect(() => readFileSync(`/proc/${pid}/stat`)).toThrow();
      await expect(node.start(serverSpec(root(), 3))).rejects.toMatchObject({ code: "holder-failed" });
      await node.ensureHolder("shop", [{ address: "127.0.0.1", port }]);
      expect((await node.running("shop")).map(({ generation }) => generation)).toEqual([1, 2]);
      await node.start(serverSpec(root(), 3));
      expect(await ask(port)).toBe("v3");
    }));

  test("told to end, a holder asks its app by the signal and gives it the time that its image names", () =>
    withNode(async ({ node, run }) => {
      await node.ensureHolder("shop", []);
      const script = "trap '' TERM; trap 'echo asked' USR1; echo ready; while :; do sleep 0.05; done";
      await node.start(shellSpec(root(), 1, script, { stopSignal: 10, stopTimeout: 500 }));
      await eventually(
        () => node.logs("shop", 1),
        (text) => text === "ready\n",
      );
      const holder = holderPid(run);
      process.kill(holder, "SIGTERM");
      await eventually(
        async () => readdirSync("/proc").includes(String(holder)),
        (there) => !there,
      );
      expect((await node.running("shop"))[0]?.exited).toMatchObject({ code: 137 });
      expect(await node.logs("shop", 1)).toBe("ready\nasked\n");
    }));

  test("SIGTERM to everything, as at a shutdown, lets the app end by itself and keeps its exit code", () =>
    withNode(async ({ node, run }) => {
      const port = await freePort();
      await node.ensureHolder("shop", [{ address: "127.0.0.1", port }]);
      const command = [
        "/bin/sh",
        "-c",
        "trap 'sleep 0.3; echo saved; exit 6' TERM; echo ready; while :; do sleep 0.05; done",
      ];
      await node.start(serverSpec(root(), 1, { command }));
      await eventually(
        () => node.logs("shop", 1),
        (text) => text === "ready\n",
      );
      const holder = holderPid(run);
      const [monitor] = readFileSync(`/proc/${holder}/task/${holder}/children`, "utf8").split(" ");
      expect(Number(monitor)).toBeGreaterThan(0);
      process.kill(Number(monitor), "SIGTERM");
      process.kill(holder, "SIGTERM");
      await eventually(
        async () => readdirSync("/proc").includes(String(holder)),
        (there) => !there,
      );
      expect((await node.running("shop"))[0]?.exited).toMatchObject({ code: 6 });
      expect(await node.logs("shop", 1)).toBe("ready\nsaved\n");
    }));

  test("one holder an app: two starts at once end with one", () =>
    withNode(async ({ state, run, node }) => {
      const port = await freePort();
      const other = await openNode({ stateDirectory: state, runDirectory: run });
      const listen = [{ address: "127.0.0.1", port }];
      await Promise.all([node, other, node, other].map((one) => one.ensureHolder("shop", listen)));
      await node.start(serverSpec(root(), 1));
      expect(await ask(port)).toBe("v1");
    }));

  test("a removed holder leaves no process, no socket and no record", () =>
    withNode(async ({ node, run }) => {
      const port = await freePort();
      await node.ensureHolder("shop", [{ address: "127.0.0.1", port }]);
      const { pid } = await node.start(
        serverSpec(root(), 1, { command: ["/usr/bin/perl", "/opt/server.pl", "v1", "ignore"] }),
      );
      const holder = holderPid(run);
      await node.removeHolder("shop");
      for (const one of [pid, holder]) {
        await eventually(
          async () => readdirSync("/proc").includes(String(one)),
          (there) => !there,
        );
      }
      await expect(connect(port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
      expect(await node.running("shop")).toEqual([]);
      await node.removeHolder("shop");
    }));

  test("a run directory too long for a socket is named", () =>
    withTemporaryDirectory(tmpdir(), async (directory) => {
      const run = join(directory, "r".repeat(90));
      const node = await openNode({ stateDirectory: join(directory, "state"), runDirectory: run });
      await expect(node.ensureHolder("shop", [])).rejects.toMatchObject({ code: "path-too-long" });
    }));
});

/** Calls one function in a hostd of its own, which is then killed with -9. */
async function operateAndKill(state: string, run: string, name: string, ...values: unknown[]): Promise<unknown> {
  const args = [OPERATE, state, run, name, ...values.map((value) => JSON.stringify(value))];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, STAY: "1" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [answer] = (await once(child.stdout, "data")) as [Buffer];
  child.kill("SIGKILL");
  await once(child, "exit");
  return JSON.parse(answer.toString());
}

/** A connection is made, whether or not anybody accepts it. */
async function reach(port: number): Promise<void> {
  const socket = createConnection(port, "127.0.0.1");
  await once(socket, "connect");
  socket.on("error", () => {}); // nobody accepted it, so its end may be a reset
  socket.destroy();
}
