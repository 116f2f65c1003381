import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import type { ConfigFileBytes, NodeSystem, StartSpec } from "../hostd/system/node.ts";
import type { Health } from "../manifests/app.ts";
import { freePort } from "./free-port.ts";
import { allCommands, eventually, serverSpec, shellSpec } from "./integration/hostd/system/fixture.ts";
import type { RemoteNode } from "./lab/remote-node.ts";

/** Where a launcher is tested. */
export interface Place {
  /** Starts a hostd, with another environment where one is given; every one of a place has the same directories. */
  hostd(...environment: string[]): Promise<RemoteNode>;
  /** The test app's root tree (root.ts), as hostd sees it. */
  root(): string;
  /** Takes away what the launcher finds an app by, as a careless hand does; answers what puts it back. */
  lose(app: string): Promise<() => Promise<void>>;
}

const WINDOW = { interval: 1000, timeout: 5000, within: 1000, stable: 0 };
const at = (port: number, address = "127.0.0.1") => ({ address, port });
const ask = async (port: number, path = "/") => (await fetch(`http://127.0.0.1:${port}${path}`)).text();

/** What every launcher does alike: to be called within a `describe`. */
export function describeLauncherContract(place: Place): void {
  let hostd: RemoteNode | undefined;
  let app = "app-0"; // another one in each test, so that a log is its own
  let count = 0;
  beforeEach(() => {
    app = `app-${++count}`;
  });
  const open = async (): Promise<NodeSystem> => {
    hostd ??= await place.hostd();
    return hostd.node;
  };
  const killHostd = async () => {
    await hostd?.kill();
    hostd = undefined;
  };
  const spec = (generation: number, options: Partial<StartSpec> = {}) =>
    serverSpec(place.root(), generation, { app, ...options });
  const shell = (generation: number, script: string, options: Partial<StartSpec> = {}) =>
    shellSpec(place.root(), generation, script, { app, ...options });
  const logged = (node: NodeSystem, generation: number, accept: (text: string) => boolean) =>
    eventually(() => node.logs(app, generation), accept);
  const answers = (node: NodeSystem, health: Health, generation: number, probe: string) =>
    eventually(
      () => node.check(health, { app, generation, probe }),
      ({ detail }) => !detail.includes("not there yet"),
    );
  const ended = (node: NodeSystem) =>
    eventually(
      () => node.running(app),
      (all) => all.length > 0 && all.every(({ exited }) => exited !== undefined),
    );

  afterEach(async () => (await open()).removeHolder(app));
  afterAll(killHostd);

  test("an app is started with its socket, answers, and ends with its own exit code", async () => {
    const node = await open();
    const port = await freePort();
    await node.ensureHolder(app, [at(port)]);
    const running = await node.start(spec(1));
    expect(running).toMatchObject({ generation: 1, pid: expect.any(Number) });
    expect(await ask(port)).toBe("v1");
    await logged(node, 1, (text) => text === "serving v1 as 2 1 2\n");
    expect(await node.running(app)).toEqual([running]);
    await node.stop(app, 1, 5000);
    expect((await node.running(app))[0]).toMatchObject({ pid: running.pid, exited: { code: 0 } });
    await logged(node, 1, (text) => text.endsWith("draining\n"));
    await node.stop(app, 1, 5000);
    await node.stop(app, 7, 5000);
  });

  test("environment, user and arguments arrive exactly, and nothing else does", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    const env = { NASTY: `a b%n$HOME\${X}"'\\n\ttab;#é`, EMPTY: "", "odd.name": "1", LINES: "one\ntwo" };
    const words = ["%i", "$PATH", "", "a\nb", `"q' \\x41`, ";", "-- é"];
    const script = [
      'use POSIX; print join("|", map { "$_=$ENV{$_}" } sort keys %ENV), "\\n", join("|", @ARGV), "\\n";',
      'open(S, "<", "/proc/self/status"); print grep { /^(Uid|Gid|Groups|Cap|NoNew|Seccomp:)/ } <S>;',
      'opendir(D, "/proc/self/fd"); print join(" ", sort grep { /\\d/ } readdir D), "\\n";',
    ].join(" ");
    const command = ["/usr/bin/perl", "-e", script, ...words];
    await node.start(spec(1, { env, command, listenFds: 0 }));
    await ended(node);
    const text = await logged(node, 1, (output) => /\n0 1 2 3 4\n$/.test(output));
    const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    const expected = Object.entries({ ...env, PATH: path })
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, value]) => `${name}=${value}`);
    const [status = ""] = /Uid:.*/s.exec(text) ?? [];
    expect(text.slice(0, text.length - status.length)).toBe(`${expected.join("|")}\n${words.join("|")}\n`);
    const uid = /^Uid:\t(\d+)\t\1\t\1\t\1$/m.exec(status)?.[1];
    expect(Number(uid)).toBeGreaterThanOrEqual(61184);
    expect(status).toMatch(new RegExp(`^Gid:\t${uid}\t${uid}\t${uid}\t${uid}\nGroups:\t${uid} ?$`, "m"));
    for (const kind of ["Inh", "Prm", "Eff", "Bnd", "Amb"]) expect(status).toContain(`Cap${kind}:\t0000000000000000\n`);
    expect(status).toContain("NoNewPrivs:\t1\n");
  });

  test("the image is read-only; data is writable by the app", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    const source = await node.dataPath(app);
    const script = `for d in / /usr /opt /proc/sys/kernel/hostname; do (echo x > $d/f) 2>/dev/null && echo may $d; done
      for d in /tmp /run "/var/lib/a shop"; do echo x > "$d/f" || echo cannot $d; done; cat "/var/lib/a shop/f"`;
    await node.start(shell(1, script, { data: { source, target: "/var/lib/a shop" } }));
    await ended(node);
    expect(await logged(node, 1, (text) => text !== "")).toBe("x\n");
  });

  test.each([
    ["exit 7", { code: 7 }],
    ["exit 0", { code: 0 }],
    ["kill -9 $$", { code: 137, signal: "SIGKILL" }],
    ["kill -15 $$", { code: 143, signal: "SIGTERM" }],
  ])("an app that does `%s` is reported as it ended", async (script, expected) => {
    const node = await open();
    await node.ensureHolder(app, []);
    await node.start(shell(1, script));
    expect((await ended(node))[0]?.exited).toEqual({ ...expected, at: expect.any(String) });
  });

  test("an app that ignores SIGTERM is killed with all it started when its time is over", async () => {
    const node = await open();
    const seconds = String(100_000 + (await freePort()));
    const sleeping = () => allCommands().filter((line) => line === `sleep\0${seconds}\0`).length;
    await node.ensureHolder(app, []);
    await node.start(shell(1, `trap '' TERM; sleep ${seconds} & while :; do sleep 1; done`));
    await eventually(
      async () => sleeping(),
      (count) => count === 1,
    );
    const before = performance.now();
    await node.stop(app, 1, 400);
    expect(performance.now() - before).toBeGreaterThan(390);
    expect(performance.now() - before).toBeLessThan(5000);
    expect(sleeping()).toBe(0);
    expect((await node.running(app))[0]?.exited).toMatchObject({ code: 137, signal: "SIGKILL" });
  });

  test("an app is asked to end by the signal that its image names, and by no other", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    const script = "trap 'echo wrong' TERM; trap 'echo right; exit 4' QUIT; echo ready; while :; do sleep 0.05; done";
    for (const generation of [1, 2]) {
      await node.start(shell(generation, script, generation === 1 ? { stopSignal: 3 } : {}));
      await logged(node, generation, (text) => text === "ready\n");
      await node.stop(app, generation, generation === 1 ? 60_000 : 300);
      await logged(node, generation, (text) => text === (generation === 1 ? "ready\nright\n" : "ready\nwrong\n"));
    }
    expect((await node.running(app)).map(({ exited }) => exited?.code)).toEqual([4, 137]);
  });

  test("what runs is stopped, also where a hand took away what the launcher finds it by", async () => {
    const node = await open();
    const seconds = String(300_000 + (await freePort()));
    const sleeping = () => allCommands().filter((line) => line === `sleep\0${seconds}\0`).length;
    await node.ensureHolder(app, []);
    const script = `trap 'echo asked; exit 3' TERM; echo ready; sleep ${seconds} & wait`;
    await node.start(shell(1, script));
    await logged(node, 1, (text) => text === "ready\n");
    await eventually(
      async () => sleeping(),
      (count) => count === 1,
    );
    const putBack = await place.lose(app);
    try {
      await node.stop(app, 1, 30_000);
      expect(sleeping()).toBe(0);
      expect((await node.running(app)).filter(({ exited }) => exited === undefined)).toEqual([]);
      await logged(node, 1, (text) => text === "ready\nasked\n");
    } finally {
      await putBack();
    }
  });

  test("what an app leaves behind when it ends goes with it", async () => {
    const node = await open();
    const seconds = String(200_000 + (await freePort()));
    await node.ensureHolder(app, []);
    await node.start(shell(1, `sleep ${seconds} & exit 5`));
    await ended(node);
    await eventually(
      async () => allCommands().filter((line) => line === `sleep\0${seconds}\0`),
      (left) => left.length === 0,
    );
  });

  test("a start that fails says why, and leaves no running generation", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    await expect(node.start(spec(1, { command: ["/usr/bin/nothing"], listenFds: 0 }))).rejects.toMatchObject({
      code: "start-failed",
      message: expect.stringContaining(`${app}: /usr/bin/nothing: No such file or directory`),
    });
    expect((await node.running(app)).map(({ exited }) => exited?.code)).toEqual([127]);
    await expect(node.start(spec(2, { workdir: "/nowhere", listenFds: 0 }))).rejects.toMatchObject({
      code: "start-failed",
      message: expect.stringContaining(`${app}: working directory /nowhere: No such file or directory`),
    });
  });

  test("what fails before anything of the image had a part in it is the launcher's", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    await expect(node.start(shell(1, "exit 0", { root: "/nowhere" }))).rejects.toMatchObject({
      code: "launcher-failed",
      message: expect.stringMatching(new RegExp(`^${app}: overlay .*/nowhere.*: No such file or directory`)),
    });
    expect((await node.running(app)).map(({ exited }) => exited?.code)).toEqual([127]);
  });

  test("a program of the node that apps are started with is missed by name", async () => {
    await (await open()).checkLauncher();
    await killHostd();
    hostd = await place.hostd("PATH=/nowhere");
    await expect(hostd.node.checkLauncher()).rejects.toMatchObject({
      code: "launcher-failed",
      message: expect.stringMatching(/^expected (bwrap|systemctl), .*: program not found$/),
    });
    await killHostd();
  });

  test("a program that ends as soon as it was executed was started, and its exit code is known, whichever it is", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    for (const code of [0, 1, 3, 0, 7]) {
      const generation = 10 + (await node.running(app)).length;
      await node.start(shell(generation, `exit ${code}`));
      await ended(node);
      expect((await node.running(app)).at(-1)).toMatchObject({ generation, exited: { code } });
    }
  });

  test("a generation that runs is not started twice; one that ended is started again, with what it gets now", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    await node.start(shell(1, "echo first; sleep 1000"));
    await logged(node, 1, (text) => text === "first\n");
    await expect(node.start(shell(1, "sleep 1000"))).rejects.toMatchObject({ code: "already-running" });
    await node.stop(app, 1, 1000);
    await node.start(shell(1, "echo second; exit 3"));
    await ended(node);
    await node.start(shell(1, "echo third; sleep 1000"));
    expect((await node.running(app)).map(({ exited }) => exited)).toEqual([undefined]);
    await logged(node, 1, (text) => text === "first\nsecond\nthird\n");
  });

  test("a connection made while nothing runs starts nothing, waits, and is answered by the next generation", async () => {
    const node = await open();
    const port = await freePort();
    await node.ensureHolder(app, [at(port)]);
    await node.start(spec(1));
    await node.stop(app, 1, 5000);
    const waiting = Promise.all(Array.from({ length: 40 }, () => ask(port)));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await node.running(app)).filter(({ exited }) => exited === undefined)).toEqual([]);
    await node.start(spec(2));
    expect(new Set(await waiting)).toEqual(new Set(["v2"]));
  });

  test("no request is refused over ten switches under load", async () => {
    const node = await open();
    const port = await freePort();
    await node.ensureHolder(app, [at(port)]);
    await node.start(spec(1));
    const load = startLoad(port);
    for (let generation = 2; generation <= 11; generation++) {
      await node.stop(app, generation - 1, 5000);
      await node.start(spec(generation));
      const before = load.answers();
      await eventually(
        async () => load.answers(),
        (now) => now > before + 20,
      );
    }
    expect(await load.end()).toEqual([]);
    expect(load.answers()).toBeGreaterThan(200);
  });

  test("two generations run on the same sockets, a probe reaches the one that is meant, and either may stop under load", async () => {
    const node = await open();
    const port = await freePort();
    await node.ensureHolder(app, [at(port)]);
    const probe = "/run/probe.sock";
    const both = (number: number) =>
      spec(number, { command: ["/usr/bin/perl", "/opt/server.pl", `v${number}`, "drain", probe] });
    await node.start(both(1));
    const load = startLoad(port);
    await node.start(both(2));
    const sick: Health = { kind: "http", url: `http://127.0.0.1:${port}/sick`, ...WINDOW };
    for (let n = 0; n < 10; n++) {
      for (const generation of [1, 2]) {
        if (n === 0) await answers(node, sick, generation, probe);
        const { detail } = await node.check(sick, { app, generation, probe });
        expect(detail).toBe(`503 Sick: v${generation}`);
      }
    }
    const tcp: Health = { kind: "tcp", host: "127.0.0.1", port, ...WINDOW };
    expect(await node.check(tcp, { app, generation: 2, probe })).toMatchObject({ ok: true });
    const missing = await node.check(sick, { app, generation: 2, probe: "/run/other.sock" });
    expect(missing).toMatchObject({ ok: false, detail: "/run/other.sock is not there yet" });
    expect((await node.check(sick, { app, generation: 2, probe: "/opt/server.pl" })).detail).toContain("is no socket");
    await node.stop(app, 1, 5000);
    expect(await ask(port)).toBe("v2");
    await node.start(both(1));
    await node.stop(app, 2, 5000);
    expect(await ask(port)).toBe("v1");
    expect(await load.end()).toEqual([]);
  });

  test("sockets come in the order given; a changed set keeps a kept one open, adds and closes others", async () => {
    const node = await open();
    const [one, two, three] = [await freePort(), await freePort(), await freePort()];
    await node.ensureHolder(app, [at(one), at(two)]);
    const kept = createConnection(two, "127.0.0.1");
    await once(kept, "connect");
    await node.ensureHolder(app, [at(two), at(three)]);
    const answer = once(kept, "data");
    kept.write("GET / HTTP/1.0\r\n\r\n");
    await node.start(spec(1, { listenFds: 2 }));
    expect(String((await answer)[0])).toMatch(/v1$/);
    kept.destroy();
    expect(await ask(two)).toBe("v1");
    await expect(connect(one)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await node.stop(app, 1, 5000);
    await node.ensureHolder(app, [at(three, "0.0.0.0"), at(two)]);
    await node.start(spec(2, { listenFds: 2 }));
    expect(await ask(three)).toBe("v2");
  });

  test("a port in use is named, and the earlier sockets are kept", async () => {
    const node = await open();
    const [mine, wanted] = [await freePort(), await freePort()];
    await node.ensureHolder(app, [at(mine)]);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(wanted, "127.0.0.1", resolve));
    await expect(node.ensureHolder(app, [at(mine, "0.0.0.0"), at(wanted)])).rejects.toMatchObject({
      code: "port-in-use",
      message: expect.stringContaining(`port ${wanted} on 127.0.0.1 is in use`),
    });
    await new Promise((resolve) => other.close(resolve));
    await node.start(spec(1));
    expect(await ask(mine)).toBe("v1");
  });

  test("sockets and app survive kill -9 of hostd under load and are adopted; an exit is known to the next", async () => {
    const first = await open();
    const port = await freePort();
    await first.ensureHolder(app, [at(port)]);
    const running = await first.start(spec(1));
    const load = startLoad(port);
    await killHostd();
    const node = await open();
    await node.ensureHolder(app, [at(port)]);
    expect(await node.running(app)).toEqual([running]);
    expect(await load.end()).toEqual([]);
    await node.stop(app, 1, 5000);
    await node.start(shell(2, "sleep 0.5; exit 9"));
    await killHostd();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const next = await open();
    expect((await next.running(app)).at(-1)).toMatchObject({ generation: 2, exited: { code: 9 } });
  });

  test("a stop that hostd does not live to see goes on to its end", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    await node.start(shell(1, "trap 'echo asked' TERM; echo ready; while :; do sleep 0.05; done"));
    await logged(node, 1, (text) => text === "ready\n");
    const unanswered = node.stop(app, 1, 1500);
    unanswered.catch(() => {}); // the pipe to a killed hostd closes
    await logged(node, 1, (text) => text.includes("asked"));
    await killHostd();
    const next = await open();
    const [last] = await ended(next);
    expect(last?.exited).toMatchObject({ code: 137 });
  });

  test("limits hold: what is in force is what was asked for, and no more can be had", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    const limits = { memory: 64 * 1024 * 1024, cpu: 50, tasks: 4, files: 32 };
    const script = `ulimit -n; sleep 3; n=0; while [ $n -lt 6 ]; do sleep 1000 & n=$((n + 1)); done; wait`;
    await node.start(shell(1, script, { limits }));
    expect(await node.limitsInForce(app, 1)).toEqual(limits);
    // dash ends where it cannot fork: itself and three are the four.
    expect((await ended(node))[0]?.exited).toMatchObject({ code: 2 });
    expect(await node.limitsInForce(app, 1)).toBeUndefined();
    expect(await logged(node, 1, (text) => text.includes("fork"))).toMatch(/^32\n[^\n]*Cannot fork\n$/);
    await node.start(shell(2, "exec sleep 1000"));
    expect(await node.limitsInForce(app, 2)).not.toMatchObject({ memory: limits.memory });
    expect(await node.limitsInForce(app, 7)).toBeUndefined();
  });

  test("a share of a processor is all that an app gets", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    const script = "1 while (times)[0] < 0.2; print 'done';";
    const started = performance.now();
    await node.start(spec(1, { command: ["/usr/bin/perl", "-e", script], listenFds: 0, limits: { cpu: 20 } }));
    await ended(node);
    expect(performance.now() - started).toBeGreaterThan(550);
  });

  test("an app that takes more memory than its limit is killed, and that is told", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    const eat = 'my $all = "x" x 200_000_000; print length $all';
    const limits = { memory: 48 * 1024 * 1024 };
    await node.start(spec(1, { command: ["/usr/bin/perl", "-e", eat], listenFds: 0, limits }));
    expect((await ended(node))[0]?.exited).toEqual({ code: 137, signal: "SIGKILL", oom: true, at: expect.any(String) });
    // so is one that loses a process of its own and ends for that reason
    await node.start(shell(2, `/usr/bin/perl -e '${eat}'; exit 7`, { limits }));
    const both = await eventually(
      () => node.running(app),
      (all) => all[1]?.exited !== undefined,
    );
    expect(both[1]?.exited).toMatchObject({ code: 7, oom: true });
    await node.start(shell(3, "kill -9 $$", { limits }));
    const three = await eventually(
      () => node.running(app),
      (all) => all[2]?.exited !== undefined,
    );
    expect(three[2]?.exited).toEqual({ code: 137, signal: "SIGKILL", at: expect.any(String) });
  });

  test("checks and hooks see the app's image as its user", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    await node.start(shell(1, "exec sleep 1000", { env: { NAME: "value" }, workdir: "/opt" }));
    const command = ["sh", "-c", 'id -u; pwd; echo "$NAME"'];
    const health: Health = { kind: "exec", command, interval: 1000, timeout: 5000, within: 1000, stable: 0 };
    const checked = await node.check(health, { app, generation: 1 });
    expect(checked).toMatchObject({ ok: true, detail: expect.stringMatching(/^exit code 0: 61\d+ \/opt value$/) });
    const hook = await node.runHook({ ...shell(2, "echo hook; exit 4"), timeoutMs: 10_000 });
    expect(hook).toEqual({ exitCode: 4, output: "hook\n", timedOut: false });
  });

  test("files are replaced below a running app, which is told by a signal; also where the image has a file", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    const files = (word: string): ConfigFileBytes[] => [
      { path: "/etc/live/deep/one", bytes: word, reload: "SIGHUP" },
      { path: "/opt/server.pl", bytes: `${word} too`, reload: "SIGUSR1", secret: true },
      { path: "/etc/still", bytes: "still" },
      { path: "/etc/hidden", bytes: "hidden", secret: true },
    ];
    const said = 'echo "$(cat /etc/live/deep/one), $(cat /opt/server.pl), $(cat /etc/still), $(cat /etc/hidden)"';
    const script = `trap '${said}' HUP USR1; cd /opt; ${said}
      for f in /etc/live/deep/one /opt/server.pl /etc/hidden; do
        (echo mine > $f) 2>/dev/null && echo "may write $f"
        perl -e 'exit !chmod 0600, $ARGV[0]' $f && echo "may change $f"
      done
      perl -e 'exit !(symlink("x", "/run/config/current/x") || unlink("/run/config/current"))' && echo "may link"
      echo ready; while :; do sleep 0.05; done`;
    await node.start(shell(1, script, await node.writeConfig(app, 1, files("old"))));
    const first = "old, old too, still, hidden\nready\n";
    await logged(node, 1, (text) => text === first);

    for (const [generation, word, signal] of [
      [2, "new", "SIGHUP"],
      [3, "newer", "SIGUSR1"],
      [1, "old", "SIGHUP"],
    ] as const) {
      await node.replaceConfig(app, { process: 1, generation, files: files(word) });
      await node.replaceConfig(app, { process: 1, generation, files: files(word) });
      await node.signal(app, 1, signal);
      await logged(node, 1, (text) => text.endsWith(`\n${word}, ${word} too, still, hidden\n`));
    }
    await node.stop(app, 1, 5000);
    await node.signal(app, 1, "SIGHUP");
    const hook = await node.runHook({
      ...shell(4, said, await node.writeConfig(app, 4, files("hooked"))),
      timeoutMs: 10_000,
    });
    expect(hook).toMatchObject({ exitCode: 0, output: "hooked, hooked too, still, hidden\n" });
  });

  test("a link of the image on the way to a file that may be replaced is refused, since it would be hidden", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    const files: ConfigFileBytes[] = [{ path: "/link/one", bytes: "x", reload: "SIGHUP" }];
    await expect(node.start(shell(1, "sleep 1", await node.writeConfig(app, 1, files)))).rejects.toMatchObject({
      code: "start-failed",
      message: expect.stringContaining("/link: expected a directory or nothing in the image"),
    });
  });

  test("all that lives is told, and of what has ended the last 32 alone: a node starts generations for years", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    await node.start(shell(1, "exec sleep 1000"));
    for (let generation = 2; generation <= 36; generation++) {
      await node.start(shell(generation, "exit 3"));
      await eventually(
        () => node.running(app),
        (all) => all.some((one) => one.generation === generation && one.exited?.code === 3),
      );
    }
    const last = Array.from({ length: 33 }, (_, index) => index + 4); // 32 had ended when the last one began
    const told = await node.running(app);
    expect(told.map(({ generation }) => generation)).toEqual([1, ...last]);
    expect(told[0]?.exited).toBeUndefined();
    await node.start(shell(2, "exit 4")); // forgotten, and free to be started again
    await eventually(
      () => node.running(app),
      (all) => all.find(({ generation }) => generation === 2)?.exited?.code === 4,
    );
    await node.stop(app, 1, 0);
  });

  test("who asks at the moment in which an app ends is answered, and so is the next", async () => {
    const node = await open();
    await node.ensureHolder(app, []);
    let isOver = false;
    const asking = Promise.all(
      [1, 2, 3].map(async () => {
        while (!isOver) await node.running(app);
      }),
    );
    try {
      for (let generation = 1; generation <= 60; generation++) {
        await node.start(shell(generation, "echo words; exit 3"));
      }
    } finally {
      isOver = true;
    }
    await asking;
    expect((await node.running(app)).at(-1)?.generation).toBe(60);
  });

  test("what is removed leaves no process, no socket and no record", async () => {
    const node = await open();
    const port = await freePort();
    await node.ensureHolder(app, [at(port)]);
    await node.start(spec(1, { command: ["/usr/bin/perl", "/opt/server.pl", `v${port}`, "ignore"] }));
    expect(await ask(port)).toBe(`v${port}`);
    await node.removeHolder(app);
    await expect(connect(port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect(await node.running(app)).toEqual([]);
    expect(allCommands().filter((line) => line.includes(`\0v${port}\0`))).toEqual([]);
    await node.removeHolder(app);
  });
}

function startLoad(port: number) {
  let stop = false;
  let answers = 0;
  const failures: string[] = [];
  const client = async () => {
    while (!stop) {
      await connect(port).then(
        () => answers++,
        (error) => failures.push(String(error)),
      );
    }
  };
  const clients = Promise.all(Array.from({ length: 4 }, client));
  return {
    answers: () => answers,
    async end() {
      stop = true;
      await clients;
      return failures;
    },
  };
}

/** One request over a new connection; resolves when an answer came. */
export function connect(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, "127.0.0.1", () => socket.write("GET / HTTP/1.0\r\n\r\n"));
    socket.once("data", (text) => {
      socket.destroy();
      resolve(text.toString());
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed without an answer")));
    socket.setTimeout(30_000, () => socket.destroy(new Error("no answer in thirty seconds")));
  });
}
