import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { run } from "../../effects/process.ts";
import { type Client, openClient } from "../../hostd/client.ts";
import { seedTrust } from "../../keys/trust.ts";
import { freePort } from "../free-port.ts";
import { type Ended, runOstler, spawnOstler } from "../run-ostler.ts";
import { type Sshd, startSshd } from "../sshd.ts";
import { openPublisher, type Published, type VersionOptions } from "./publisher.ts";
import { endAll, eventually } from "./rig.ts";

const HOSTD = join(import.meta.dirname, "../../bin/hostd");

/** One of many nodes on one machine: a hostd with a network of its own, behind an sshd with a host key of its own. */
export interface FleetNode {
  name: string;
  client: Client;
  state: string;
  /** Name of its network namespace. */
  network: string;
  sshd: Sshd;
  /** Says that the app under test is sick from now on, to a version that turns sick. */
  makeSick(): void;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Stops hostd as SIGSTOP does. */
  holdStill(): void;
}

export interface Fleet {
  directory: string;
  home: string;
  nodes: FleetNode[];
  publish(options: Omit<VersionOptions, "sequence" | "port">): Promise<Published>;
  /** Writes the file of a rollout and answers its path. */
  file(text: string): string;
  ostler(...words: string[]): Promise<Ended>;
  /** Begins a command without waiting for it. */
  begin(...words: string[]): { child: ChildProcess; ended: Promise<Ended> };
  /** What every node runs. */
  versions(): Promise<(string | undefined)[]>;
}

/** Nodes that an operator's home knows; all of it is undone at the end. */
export async function withFleet(count: number, use: (fleet: Fleet) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "fleet-"));
  const home = join(directory, "home");
  mkdirSync(home);
  const publisher = await openPublisher(directory);
  await seedTrust(join(home, "trust"), readFileSync(publisher.rootFile));
  const port = await freePort();
  const nodes: FleetNode[] = [];
  let sequence = 0;
  const fleet: Fleet = {
    directory,
    home,
    nodes,
    publish(options) {
      sequence++;
      return publisher.publish({ port, ...options, sequence });
    },
    file(text) {
      const path = join(directory, "shop.rollout");
      writeFileSync(path, text);
      return path;
    },
    ostler: (...words) => runOstler(home, wordsOf(words)),
    begin: (...words) => spawnOstler(home, wordsOf(words)),
    versions: () =>
      Promise.all(
        nodes.map(
          async ({ client }) => (await client.status()).apps.find(({ app }) => app === "shop")?.current?.version,
        ),
      ),
  };
  const wordsOf = (words: readonly string[]) =>
    /^rollout (?:start|resume)/.test(words.join(" ")) ? [...words, "--repository", publisher.directory] : [...words];
  try {
    for (let number = 1; number <= count; number++)
      nodes.push(await addFleetNode(directory, publisher.rootFile, number));
    await Promise.all(nodes.map((node) => node.start()));
    await use(fleet);
  } finally {
    for (const node of nodes) {
      await node.stop();
      await node.sshd.stop();
      const place = join(directory, node.name);
      await endAll(place, node.state, join(place, "run"), undefined);
      await run(["ip", "netns", "delete", node.network]);
    }
    rmSync(directory, { recursive: true, force: true });
  }
}

async function addFleetNode(directory: string, rootFile: string, number: number): Promise<FleetNode> {
  const name = `n-${number}`;
  const place = join(directory, name);
  const [state, runs, inbox, keys] = ["state", "run", "state/repository", "ssh"].map((one) => join(place, one));
  if (state === undefined || runs === undefined || inbox === undefined || keys === undefined) throw new Error(place);
  for (const one of [inbox, keys]) mkdirSync(one, { recursive: true, mode: 0o700 });
  const client = openClient(join(runs, "hostd.sock"));
  const words = ["--state", state, "--run", runs, "--repository", inbox, "--root", rootFile, "--reserve", "1"];
  const network = `${basename(directory)}-${number}`; // every node's app has the same port
  await run(["ip", "netns", "add", network]);
  await run(["ip", "-n", network, "link", "set", "lo", "up"]);
  let daemon: ChildProcess | undefined;
  return {
    name,
    client,
    state,
    network,
    sshd: await startSshd(keys),
    makeSick: () => writeFileSync(join(state, "data/shop/live/sick"), ""),
    async start() {
      daemon = spawn("nsenter", [`--net=/run/netns/${network}`, HOSTD, "serve", ...words], { stdio: "ignore" });
      await eventually(
        () =>
          client.status().then(
            () => true,
            () => false,
          ),
        (up) => up,
        60_000,
      );
    },
    holdStill: () => void daemon?.kill("SIGSTOP"),
    async stop() {
      daemon?.kill("SIGCONT");
      if (daemon === undefined || daemon.exitCode !== null) return;
      const gone = once(daemon, "exit");
      daemon.kill("SIGTERM");
      await gone;
    },
  };
}
