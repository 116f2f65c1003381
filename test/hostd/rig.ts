import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, openClient } from "../../hostd/client.ts";
import { askHolder } from "../../hostd/system/holder.ts";
import { unmount } from "../../hostd/system/mount.ts";
import { readMounts } from "../../hostd/system/mountinfo.ts";
import { pathsOf } from "../../hostd/system/paths.ts";
import { Failure } from "../../manifests/failure.ts";
import type { OperationDocument } from "../../manifests/node.ts";
import { freePort } from "../free-port.ts";
import { type Disk, type DiskKind, makeDisk } from "./disk.ts";
import type { Armed } from "./faults.ts";
import { openPublisher, type Published, type Publisher, type VersionOptions } from "./publisher.ts";
import { serveDirectory } from "./webserver.ts";

const root = join(import.meta.dirname, "../..");
/** Milliseconds until a request counts as not taken where nobody may be behind the socket: one that is held open does not refuse. */
export const ANSWER_LIMIT = 1_000;
/** A daemon that is to end by itself, and does not, missed its moment: milliseconds. */
const END_LIMIT = 60_000;
const FAULTS = join(import.meta.dirname, "faults.ts");

/** A hostd of one's own, with a real repository, real mounts and real processes. */
export interface Rig {
  directory: string;
  state: string;
  run: string;
  port: number;
  publisher: Publisher;
  /** Where the publisher's repository is served. */
  url: string;
  client: Client;
  /** The state directory's own file system, where the rig was given one. */
  disk: Disk | undefined;
  /** Makes the daemon do this when it next reaches that moment (test/hostd/faults.ts). */
  arm(armed: Armed): void;
  /** Resolves when the armed moment was reached; lets a daemon that stands still there go on. */
  reached(): Promise<void>;
  goOn(): void;
  /** Publishes a version with the next sequence. */
  publish(
    options: Omit<VersionOptions, "sequence" | "port"> & { sequence?: number; port?: number },
  ): Promise<Published>;
  /**
   * Starts the daemon and waits until it answers; with a fault it may be gone before that. It takes its versions from
   * the served repository unless another is given, such as the publisher's directory. Answering means to tell its
   * status; `damaged`: it refuses all it is asked instead, because its journal is damaged.
   */
  start(options?: {
    fault?: string;
    damaged?: boolean;
    repository?: string;
    reserve?: number;
    options?: string[];
    /** Milliseconds that it may take at least. */
    within?: number;
  }): Promise<void>;
  /** Kills the daemon with -9, as a crash does. */
  kill(): Promise<void>;
  /** Stops the daemon as SIGSTOP does. */
  holdStill(): void;
  /** Kills the daemon and everything it left running, and takes away what a reboot would: mounts and the run directory. */
  reboot(): Promise<void>;
  /** Asks the daemon to end and answers its exit code. */
  stop(): Promise<number | null>;
  /** Resolves when the daemon ended by itself; throws when it goes on. */
  ended(): Promise<void>;
  operate(verb: string, body?: Record<string, unknown>): Promise<OperationDocument>;
  get(path: string): Promise<string>;
  /** Writes a record and answers its number. */
  record(): Promise<number>;
  /** Writes a record and answers it as it will be read again; throws where the app did not take it within `limit` milliseconds. */
  acknowledge(limit?: number): Promise<string>;
  records(): Promise<string[]>;
  log(): string;
  pid(): number;
}

/** A rig for as long as `use` runs; its processes and mounts are undone by pid and path. `program`: another hostd than the sources'. */
export async function withRig(
  use: (rig: Rig) => Promise<void>,
  options: { disk?: DiskKind; machine?: boolean; program?: string } = {},
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "rig-"));
  const [state, run, faults] = [join(directory, "state"), join(directory, "run"), join(directory, "faults")];
  mkdirSync(faults);
  const disk = options.disk === undefined ? undefined : await makeDisk(options.disk, directory, state);
  let daemon: ChildProcess | undefined;
  let output = "";
  let sequence = 0;
  const port = await freePort();
  const publisher = await openPublisher(directory);
  const server = await serveDirectory(publisher.directory);
  const client = openClient(join(run, "hostd.sock"));
  // A machine of its own (test/hostd/firmware.ts), and the programs that act on it.
  const machine = options.machine === true ? ["--machine", join(directory, "machine")] : [];
  const programs = options.machine === true ? [join(directory, "bin")] : [];
  const faulty = { HOSTD_FAULTS: faults, NODE_OPTIONS: `--import=${FAULTS}` };

  const rig: Rig = {
    directory,
    state,
    run,
    port,
    publisher,
    url: server.url,
    client,
    disk,
    log: () => output,
    pid: () => daemon?.pid ?? 0,
    arm(armed) {
      rmSync(join(faults, "reached"), { force: true });
      writeFileSync(join(faults, "armed"), JSON.stringify(armed));
    },
    async reached() {
      await eventually(
        async () => existsSync(join(faults, "reached")),
        (there) => there,
      );
    },
    goOn: () => writeFileSync(join(faults, "go"), ""),
    publish(options) {
      sequence = options.sequence ?? sequence + 1;
      return publisher.publish({ port, ...options, sequence });
    },
    async start({ fault, damaged = false, repository, reserve = 1, options: more = [], within = 30_000 } = {}) {
      const words = ["--state", state, "--run", run, "--repository", repository ?? server.url, ...machine];
      rmSync(join(faults, "armed"), { force: true });
      rmSync(join(faults, "go"), { force: true });
      if (fault !== undefined) rig.arm({ point: fault, action: "kill" });
      const started = spawn(
        options.program ?? join(root, "bin/hostd"),
        ["serve", ...words, "--root", publisher.rootFile, "--reserve", String(reserve), ...more],
        {
          env: {
            ...process.env,
            PATH: [...programs, process.env["PATH"]].join(":"),
            ...(options.program === undefined ? faulty : {}),
          },
          stdio: ["ignore", "ignore", "pipe"],
        },
      );
      daemon = started;
      started.stderr?.on("data", (text) => {
        output += text;
      });
      for (let tries = 0; tries < within / 25 && started.exitCode === null && started.signalCode === null; tries++) {
        if (
          await client.status().then(
            () => !damaged,
            (error) => damaged && error instanceof Failure && error.code === "journal-damaged",
          )
        )
          return;
        await delay(25);
      }
      if (fault !== undefined) return;
      for await (const _ of started.stderr ?? []); // to its last word
      throw new Error(`hostd did not come up (${started.exitCode ?? started.signalCode}):\n${output}`);
    },
    async kill() {
      daemon?.kill("SIGKILL");
      await rig.ended();
    },
    holdStill: () => void daemon?.kill("SIGSTOP"),
    async reboot() {
      await rig.kill();
      await endAll(directory, state, run, disk);
      await rm(run, { recursive: true, force: true });
    },
    async stop() {
      daemon?.kill("SIGTERM");
      await rig.ended();
      return daemon?.exitCode ?? null;
    },
    async ended() {
      if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
      const limit = AbortSignal.timeout(END_LIMIT);
      await once(daemon, "exit", { signal: limit }).catch(() => {
        throw new Error(`expected the daemon to end, it runs after ${END_LIMIT} ms`);
      });
    },
    async operate(verb, body = {}) {
      const begun = await client.begin("shop", verb, body);
      const ended = await client.wait(begun, () => {}, AbortSignal.timeout(60_000));
      output += `${JSON.stringify({ operation: ended.id, kind: ended.kind, state: ended.state, reason: ended.reason, notes: ended.notes })}\n`;
      return ended;
    },
    get: (path) => ask(port, "GET", path),
    record: async () => Number(await ask(port, "POST", "/records")),
    async acknowledge(limit = 10_000) {
      const url = `http://127.0.0.1:${port}/records`;
      const signal = AbortSignal.timeout(limit);
      const response = await fetch(url, { method: "POST", headers: { connection: "close" }, signal });
      const number = await response.text();
      if (response.status !== 200 || number === "") throw new Error(`not taken: ${response.status}`);
      return `${number} by ${response.headers.get("x-version")}`;
    },
    records: async () => (await ask(port, "GET", "/records")).split("\n").filter((line) => line !== ""),
  };

  try {
    await use(rig);
  } catch (error) {
    if (error instanceof Error) error.message += `\n--- hostd ---\n${output.slice(-6_000)}`;
    throw error;
  } finally {
    await rig.kill();
    await server.close();
    await endAll(directory, state, run, undefined);
    await rm(directory, { recursive: true, force: true });
  }
}

/** Ends holders and apps, and unmounts everything but a disk that is kept; the state itself may be out of order. */
export async function endAll(directory: string, state: string, run: string, kept: Disk | undefined): Promise<void> {
  const paths = pathsOf({ stateDirectory: state, runDirectory: run });
  for (const app of await readdir(join(run, "apps")).catch(() => [])) await askHolder(paths, app, ["quit"]);
  for (const { mountPoint } of (await readMounts()).reverse()) {
    if (mountPoint === kept?.directory) continue;
    if (mountPoint.startsWith(`${directory}/`)) await unmount(mountPoint, { lazy: true });
  }
}

async function ask(port: number, method: string, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { connection: "close" },
    signal: AbortSignal.timeout(10_000),
  });
  return await response.text();
}

/** Asks again until the answer is accepted; fails after `limit` milliseconds with the last one. */
export async function eventually<T>(
  question: () => Promise<T>,
  accept: (answer: T) => boolean,
  limit = 20_000,
): Promise<T> {
  const end = Date.now() + limit;
  for (;;) {
    const answer = await question();
    if (accept(answer)) return answer;
    if (Date.now() > end) throw new Error(`waited ${limit} ms, last answer ${JSON.stringify(answer)}`);
    await delay(50);
  }
}

/** The daemon may stand still, or be gone, before it answers; a refusal would leave a fault point unreached for ever. */
export function unlessRefused(error: unknown): undefined {
  if (error instanceof Failure && error.outcome !== "failed") throw error;
  return undefined;
}

export function readJson(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
}

/** Begins an operation, aborts it once its judge has begun, and answers how it ended. */
export async function abortWhileJudged({ client }: Rig, verb: string): Promise<OperationDocument> {
  const begun = await client.begin("shop", verb, {});
  await eventually(
    () => client.operation(begun.id),
    ({ steps }) => steps.some(({ name, started }) => name === "judge" && started !== undefined),
  );
  await client.abort(begun.id);
  return await client.wait(begun, () => {}, AbortSignal.timeout(20_000));
}
