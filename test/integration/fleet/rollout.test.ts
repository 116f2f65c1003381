import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "../../../effects/process.ts";
import type { Rollout } from "../../../manifests/rollout.ts";
import { type Fleet, type FleetNode, withFleet } from "../../hostd/fleet.ts";
import { eventually } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";
import { openSmtpSink } from "../../smtp-sink.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup", "nsenter", "ip", "/usr/sbin/sshd", "sftp"] };

/** Milliseconds for ten nodes on a machine that has other things to do. */
const LIMIT = 600_000;

describeWith(NEEDS, "ostler rollout", () => {
  test(
    "ten per cent, mail and wait, then the rest: where a version is good",
    () =>
      withScenario(async ({ fleet, sink, path }) => {
        await fleet.publish({ version: "1.1.0" });
        const { ended } = fleet.begin("rollout", "start", path);
        const waiting = await recordOf(fleet, "shop-2", ({ at }) => at.phase === "success" && at.action === 1);
        expect(await fleet.versions()).toEqual(["1.1.0", ...Array(9).fill("1.0.0")]);
        expect(waiting.nodes.filter(({ state }) => state === "waiting")).toHaveLength(9);
        const waits = "rollout shop-2: shop 1.1.0: wave 1 of 2 is good, waits for ostler rollout approve shop-2";
        expect(sink.subjects()).toEqual([waits]);
        expect(await fleet.ostler("rollout", "start", path)).toMatchObject({ exitCode: 4 });

        expect((await fleet.ostler("rollout", "approve", "shop-2")).exitCode).toBe(0);
        expect(await ended).toMatchObject({ exitCode: 0, json: { id: "shop-2", state: "done" } });
        expect(await fleet.versions()).toEqual(Array(10).fill("1.1.0"));
        expect(sink.subjects().slice(1)).toEqual(["rollout shop-2: shop 1.1.0: wave 2 of 2 is good"]);

        const before = await operationsOf(fleet);
        const again = fleet.file(
          "product: shop\nwaves: [{ nodes: 3 }, { nodes: rest }]\nfailure: [{ revert: rollout }]\n",
        );
        expect(await fleet.ostler("rollout", "start", again)).toMatchObject({ exitCode: 0, json: { state: "done" } });
        const more = (await operationsOf(fleet)).flatMap((kinds, index) => kinds.slice(before[index]?.length ?? 0));
        expect(more).toEqual(Array(10).fill("stage")); // which found all of it there
      }),
    LIMIT,
  );

  test(
    "ten per cent, mail and wait, then the rest: where a version is no good",
    () =>
      withScenario(async ({ fleet, sink, path }) => {
        await fleet.publish({ version: "1.1.0", how: "sick", within: 300 });
        const before = await operationsOf(fleet);
        const ended = await fleet.ostler("rollout", "start", path, "--no-json");
        expect(ended).toMatchObject({
          exitCode: 1,
          stdout: expect.stringMatching(/^n-1 +wave 1 +failed +operation 4 +.*503 Sick/m),
        });
        expect(await fleet.versions()).toEqual(Array(10).fill("1.0.0"));
        expect((await operationsOf(fleet)).slice(1)).toEqual(before.slice(1)); // nobody else was touched
        expect(sink.subjects()).toEqual(["rollout shop-2: shop 1.1.0: wave 1 of 2 failed"]);
        expect(sink.mails[0]).toMatch(/why: wave 1: n-1: generation 2 of shop: http:/);
      }),
    LIMIT,
  );

  test("none switches unless all are prepared, and where one fails all are taken back", () =>
    withNodes(3, async (fleet) => {
      const path = fleet.file("product: shop\nwaves: [{ nodes: rest }]\nfailure: [{ revert: wave }]\n");
      await fleet.publish({ version: "1.1.0", how: "turns-sick", within: 8_000 });
      const [first, second] = fleet.nodes;
      await second?.stop();
      const unprepared = await fleet.ostler("rollout", "start", path);
      expect(unprepared).toMatchObject({
        exitCode: 1,
        json: { reason: expect.stringContaining("n-2: hostd is not running") },
      });
      await second?.start();
      expect(await fleet.versions()).toEqual(["1.0.0", "1.0.0", "1.0.0"]);

      first?.makeSick();
      const taken = await fleet.ostler("rollout", "start", path);
      expect(taken).toMatchObject({ exitCode: 1, json: { state: "failed", reason: expect.stringContaining("n-1: ") } });
      expect(statesOf(taken.json)).toEqual(["failed", "reverted", "reverted"]);
      expect(await fleet.versions()).toEqual(["1.0.0", "1.0.0", "1.0.0"]);
    }));

  test("a wave that was good and turns sick while it is watched takes the whole rollout back", () =>
    withNodes(3, async (fleet) => {
      await fleet.publish({ version: "1.1.0", how: "turns-sick", interval: 100 });
      const path = fleet.file(
        "product: shop\nwaves: [{ nodes: 2, success: [{ wait: 4s }] }, { nodes: rest }]\nfailure: [{ revert: rollout }]\n",
      );
      const { ended } = fleet.begin("rollout", "start", path);
      await recordOf(fleet, "shop-2", ({ at }) => at.phase === "success");
      fleet.nodes[1]?.makeSick();
      expect(await ended).toMatchObject({
        exitCode: 1,
        json: { reason: expect.stringMatching(/n-2: (?:is unhealthy|hostd had to)/) },
      });
      expect(await fleet.versions()).toEqual(["1.0.0", "1.0.0", "1.0.0"]);
    }));

  test("killed at any step it is gone on with where it stood, and no node is asked twice", () =>
    withNodes(3, async (fleet) => {
      await fleet.publish({ version: "1.1.0" });
      const path = fleet.file("product: shop\nparallel: 1\nwaves: [{ nodes: 1 }, { nodes: rest }]\n");
      let { child, ended } = fleet.begin("rollout", "start", path);
      let kills = 0;
      for (let seen = ""; ; ) {
        const { state, at, nodes } = await recordOf(fleet, "shop-2", (now) => markOf(now) !== seen);
        if (state !== "running") break;
        seen = markOf({ at, nodes, state });
        child.kill("SIGKILL");
        await ended;
        kills++;
        ({ child, ended } = fleet.begin("rollout", "resume", "shop-2"));
      }
      expect(await ended).toMatchObject({ exitCode: 0, json: { state: "done" } });
      expect(kills).toBeGreaterThan(3);
      expect(await fleet.versions()).toEqual(["1.1.0", "1.1.0", "1.1.0"]);
      expect(await operationsOf(fleet)).toEqual(Array(3).fill(["stage", "activate", "stage", "activate"]));
    }));

  test("a connection that is lost in the middle of a switch is made anew, and the node followed to its end", () =>
    withNodes(2, async (fleet) => {
      await fleet.publish({ version: "1.1.0", stable: 4_000 });
      const path = fleet.file("product: shop\nwaves: [{ nodes: rest }]\n");
      const { child, ended } = fleet.begin("rollout", "start", path);
      await eventually(
        () => kindsUnderWay(fleet.nodes[1]),
        (kinds) => kinds.includes("activate"),
        60_000,
      );
      await cutConnections(child.pid, fleet.nodes[1]);
      expect(await ended).toMatchObject({ exitCode: 0, json: { state: "done" } });
      expect(statesOf((await ended).json)).toEqual(["switched", "switched"]);
    }));

  test("a node that does not answer fails its wave in bounded time, and status names who is left", () =>
    withNodes(2, async (fleet) => {
      await fleet.publish({ version: "1.1.0" });
      fleet.nodes[1]?.holdStill();
      const path = fleet.file("product: shop\nwaves: [{ nodes: rest, tolerate: 1 }]\n");
      const ended = await fleet.ostler("rollout", "start", path, "--no-json");
      expect(ended).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("done, but for 1 of 2 nodes") });
      expect(ended.stdout).toMatch(/^n-2 .*failed .*hostd did not answer within 20 s/m);
      expect((await fleet.ostler("node", "list", "--no-json")).stdout).toMatch(/^n-2 .*did not answer/m);
    }));

  test("a version that a rollout took back goes out again in the next one where it was not at fault", () =>
    withNodes(2, async (fleet) => {
      await fleet.publish({ version: "1.1.0" });
      const path = fleet.file(
        "product: shop\nwaves: [{ nodes: 1 }, { nodes: rest }]\nfailure: [{ revert: rollout }]\n",
      );
      await fleet.nodes[1]?.stop();
      const failed = await fleet.ostler("rollout", "start", path);
      expect(failed).toMatchObject({ exitCode: 1 });
      expect(statesOf(failed.json)).toEqual(["reverted", "failed"]);
      await fleet.nodes[1]?.start();
      const again = await fleet.ostler("rollout", "start", path);
      expect(again, again.stdout).toMatchObject({ exitCode: 0 });
      expect(await fleet.versions()).toEqual(["1.1.0", "1.1.0"]);
    }));

  test("a rejection takes the failure branch, with its programs, and what fails to report fails nothing", () =>
    withNodes(2, async (fleet) => {
      await fleet.publish({ version: "1.1.0" });
      const told = join(fleet.directory, "told");
      const path = fleet.file(`
product: shop
waves: [{ nodes: 1, success: [{ webhook: "http://127.0.0.1:9/" }, { approve: 1h }] }, { nodes: rest }]
failure: [{ revert: rollout }, { run: [sh, -c, 'cp "$OSTLER_ROLLOUT" ${told}'] }]
`);
      const { child, ended } = fleet.begin("rollout", "start", path);
      await recordOf(fleet, "shop-2", ({ at }) => at.phase === "success" && at.action === 1);
      child.kill("SIGINT");
      expect(await ended).toMatchObject({ exitCode: 130, json: { state: "running" } });
      const left = await fleet.ostler("rollout", "status", "shop-2", "--no-json");
      expect(left.stdout).toMatch(/nobody goes on with it: ostler rollout resume shop-2$/m);
      const rejected = await fleet.ostler("rollout", "reject", "shop-2", "--reason", "slow", "--no-json");
      expect(rejected.stdout).toContain("nobody goes on with it: ostler rollout resume shop-2");
      const resumed = await fleet.ostler("rollout", "resume", "shop-2");
      expect(resumed).toMatchObject({ exitCode: 1, json: { reason: expect.stringMatching(/^rejected by .*: slow$/) } });
      expect(resumed.json).toMatchObject({ notes: [{ text: expect.stringContaining("webhook 127.0.0.1:9") }] });
      expect(statesOf(JSON.parse(readFileSync(told, "utf8")))).toEqual(["reverted", "waiting"]);
      expect(await fleet.versions()).toEqual(["1.0.0", "1.0.0"]);
      expect(await fleet.ostler("rollout", "approve", "shop-2")).toMatchObject({ exitCode: 3 });
    }));

  test("a node is its host key: renamed it keeps its history, and no second one has that key", () =>
    withNodes(2, async (fleet) => {
      expect(await fleet.ostler("node", "rename", "n-1", "web-berlin")).toMatchObject({ exitCode: 0 });
      const history = await fleet.ostler("node", "history", "web-berlin");
      expect(history.json).toMatchObject({ rollouts: [{ rollout: "shop-1", name: "n-1", state: "switched" }] });
      const twice = await fleet.ostler("node", "add", ...wordsFor(fleet, 0), "--name", "other");
      expect(twice).toMatchObject({ exitCode: 3, stderr: expect.stringContaining("that of web-berlin") });

      expect((await fleet.ostler("node", "group", "n-2", "db", "db")).json).toMatchObject({ groups: ["db"] });
      expect(await fleet.ostler("node", "rename", "n-2", "web")).toMatchObject({ exitCode: 3 }); // that is a group
      const listed = await fleet.ostler("node", "list", "web", "--no-json");
      expect(listed.stdout).not.toContain("n-2");
      expect(listed.stdout).toMatch(/^web-berlin +web +\d+\.\d+\.\d+ +shop +1\.0\.0 [0-9a-f]{12} .*healthy$/m);
      const [first, second] = fleet.nodes;
      writeFileSync(first?.sshd.config ?? "", readFileSync(second?.sshd.config ?? "")); // another machine under its address
      const other = await fleet.ostler("node", "list", "--no-json");
      expect(other).toMatchObject({ exitCode: 1 });
      expect(other.stdout).toMatch(/^web-berlin .*expected the machine with host key SHA256/m);
      expect(await fleet.ostler("node", "remove", "web-berlin")).toMatchObject({ exitCode: 0 });
      expect((await fleet.ostler("node", "list")).json).toMatchObject({ nodes: [{ name: "n-2" }] });
    }));
});

describeWith(NEEDS, "a node whose updates are held", () => {
  test("fails a wave while it is prepared, so that no node of it is switched", () =>
    withNodes(2, async (fleet) => {
      await fleet.nodes[1]?.client.hold("shop", "nobody is here over Christmas", undefined);
      await fleet.publish({ version: "1.1.0" });
      const path = fleet.file("product: shop\nwaves: [{ nodes: rest }]\nfailure: [{ revert: wave }]\n");
      const ended = await fleet.ostler("rollout", "start", path, "--no-json");
      expect(ended).toMatchObject({
        exitCode: 1,
        stdout: expect.stringMatching(/^n-2 .*failed .*updates held for good/m),
      });
      expect(await fleet.versions()).toEqual(["1.0.0", "1.0.0"]);
    }));
});

describeWith(NEEDS, "ostler --on a node", () => {
  test("asks it and has it change over SSH, by its name in the inventory; what no node is called is refused", () =>
    withNodes(2, async (fleet) => {
      await bring(fleet, { version: "1.1.0" });
      const on = ["--on", "n-2"];
      expect((await fleet.ostler("status", "shop", ...on)).json).toMatchObject({ current: { version: "1.1.0" } });
      expect((await fleet.ostler("logs", "shop", ...on, "--no-json")).stdout).toMatch(/^shop 1\.1\.0 begins/);
      expect((await fleet.ostler("collect", ...on)).json).toMatchObject({ health: "green", apps: [{ app: "shop" }] });
      const back = await fleet.ostler("rollback", "shop", ...on);
      expect(back).toMatchObject({ exitCode: 0, json: { kind: "rollback", state: "done", version: "1.0.0" } });
      expect(await fleet.versions()).toEqual(["1.1.0", "1.0.0"]);
      const { json } = await fleet.ostler("history", "shop", ...on);
      expect((json as { changes: unknown[] }).changes[0]).toMatchObject({ kind: "rollback", version: "1.0.0" });
      expect(await fleet.ostler("deploy", "shop", ...on)).toMatchObject({
        exitCode: 3,
        json: { state: "failed", reason: { code: "quarantined" } },
      });
      for (const [words, message] of [
        [["failure", "99", ...on], "error: no operation 99 on this node"],
        [["status", "--on", "web"], "--on: expected one node, got the group web"],
        [["status", "--on", "n-3"], 'expected a node or group, got "n-3"'],
        [["status", ...on, "--socket", "/x"], "--socket and --on: expected one of them"],
        [["logs", "shop", ...on, "--follow"], "--follow and --on: expected one of them"],
        [["rollback", "shop", ...on, "--no-wait"], "--no-wait and --on: expected one of them"],
      ] as const) {
        const refused = await fleet.ostler(...words);
        expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(message) });
      }
      await fleet.nodes[1]?.stop();
      expect(await fleet.ostler("status", ...on)).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining("n-2: hostd is not running: nobody answers behind ssh"),
      });
    }));
});

interface Scenario {
  fleet: Fleet;
  sink: Awaited<ReturnType<typeof openSmtpSink>>;
  /** The file of N20: a tenth, mail and wait where it is good, take back and mail where it is not. */
  path: string;
}

/** Ten nodes that run 1.0.0, brought there by a first rollout. */
async function withScenario(use: (scenario: Scenario) => Promise<void>): Promise<void> {
  const sink = await openSmtpSink();
  try {
    await withNodes(10, async (fleet) => {
      const path = fleet.file(`
product: shop
mail: { from: ostler@example.org, server: "${sink.url}" }
waves:
  - nodes: 10%
    success:
      - mail: admin@example.org
      - approve: 24h
  - nodes: rest
    success:
      - mail: admin@example.org
failure:
  - revert: rollout
  - mail: admin@example.org
`);
      await use({ fleet, sink, path });
    });
  } finally {
    await sink.close();
  }
}

/** Nodes of the inventory that run 1.0.0. */
function withNodes(count: number, use: (fleet: Fleet) => Promise<void>): Promise<void> {
  return withFleet(count, async (fleet) => {
    await addAll(fleet);
    await bring(fleet, { version: "1.0.0" });
    await use(fleet);
  });
}

async function addAll(fleet: Fleet): Promise<void> {
  for (const [index, { name }] of fleet.nodes.entries()) {
    const added = await fleet.ostler("node", "add", ...wordsFor(fleet, index), "--name", name, "--group", "web");
    expect(added).toMatchObject({ exitCode: 0, json: { node: { name, key: expect.stringMatching(/^SHA256:/) } } });
  }
}

function wordsFor({ nodes, directory }: Fleet, index: number): string[] {
  const node = nodes[index];
  if (node === undefined) throw new RangeError(`expected node ${index}`);
  const socket = join(directory, node.name, "run/hostd.sock");
  return ["node", "--ssh-config", node.sshd.config, "--remote-socket", socket, "--remote-state", node.state];
}

/** The kinds of operations that each node ever had, oldest first. */
function operationsOf({ nodes }: Fleet): Promise<string[][]> {
  return Promise.all(
    nodes.map(async ({ client }) => (await client.changes({ app: "shop" })).changes.map(({ kind }) => kind).reverse()),
  );
}

async function kindsUnderWay(node: FleetNode | undefined): Promise<string[]> {
  const apps = (await node?.client.status())?.apps ?? [];
  return apps.flatMap(({ underWay }) => underWay.map(({ kind }) => kind));
}

/** As a network that fails does: ends the ssh of a command that leads to this node. */
async function cutConnections(command: number | undefined, node: FleetNode | undefined): Promise<void> {
  const { stdout } = await run(["ps", "-eo", "pid,args"]);
  for (const line of stdout.split("\n")) {
    const [, pid, words = ""] = /^ *(\d+) (.*)$/.exec(line) ?? [];
    const isIts =
      words.startsWith("ssh ") && words.includes(`ostler-ssh-${command}-`) && words.includes(node?.sshd.config ?? "-");
    if (isIts && words.includes(" -N ")) process.kill(Number(pid), "SIGKILL");
  }
}

function statesOf(rollout: unknown): string[] {
  return (rollout as Rollout).nodes.map(({ state }) => state);
}

/** Tells two moments of a rollout from one another. */
function markOf({ state, at, nodes }: Pick<Rollout, "state" | "at" | "nodes">): string {
  return JSON.stringify([state, at.wave, at.phase, nodes.map((node) => node.state)]);
}

async function bring(fleet: Fleet, options: Parameters<Fleet["publish"]>[0]): Promise<void> {
  await fleet.publish(options);
  const path = fleet.file("product: shop\nwaves: [{ nodes: rest }]\n");
  const ended = await fleet.ostler("rollout", "start", path);
  expect(ended, ended.stderr).toMatchObject({ exitCode: 0, json: { state: "done" } });
}

function recordOf(fleet: Fleet, id: string, accept: (rollout: Rollout) => boolean): Promise<Rollout> {
  const file = join(fleet.home, "rollouts", id, "rollout.json");
  const read = async () => JSON.parse(readFileSync(file, "utf8")) as Rollout;
  return eventually(
    () => read().catch(() => undefined as never),
    (rollout) => rollout !== undefined && accept(rollout),
    120_000,
  );
}
