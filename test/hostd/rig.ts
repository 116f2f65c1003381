import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, openClient } from "../../hostd/client.ts";
import { unmount } from "../../hostd/system/mount.ts";
import { readMounts } from "../../hostd/system/mountinfo.ts";
import { openNode } from "../../hostd/system/open.ts";
import type { OperationDocument } from "../../manifests/node.ts";
import { openPublisher, type Published, type Publisher, type VersionOptions } from "./publisher.ts";

const root = join(import.meta.dirname, "../..");

/** A hostd of one's own, with a real repository, real mounts and real processes. */
export interface Rig {
  directory: string;
  state: string;
  run: string;
  port: number;
  publisher: Publisher;
  client: Client;
  /** Publishes a version with the next sequence. */
  publish(options: Omit<VersionOptions, "sequence" | "port"> & { sequence?: number }): Promise<Published>;
  /** Starts the daemon and waits until it answers; with a fault it may be gone before that. */
  start(options?: { fault?: string; repository?: string; reserve?: number }): Promise<void>;
  /** Kills the daemon with -9, as a crash does. */
  kill(): Promise<void>;
  /** Kills the daemon and everything it left running, and takes away what a reboot would: mounts and the run directory. */
  reboot(): Promise<void>;
  /** Asks the daemon to end and answers its exit code. */
  stop(): Promise<number | null>;
  /** Resolves when the daemon ended by itself. */
  ended(): Promise<void>;
  operate(verb: string, body?: Record<string, unknown>): Promise<OperationDocument>;
  get(path: string): Promise<string>;
  /** Writes a record and answers its number. */
  record(): Promise<number>;
  records(): Promise<string[]>;
  log(): string;
}

/** A rig for as long as `use` runs; its processes and mounts are undone by pid and path, whatever happens. */
export async function withRig(use: (rig: Rig) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "rig-"));
  const [state, run] = [join(directory, "state"), join(directory, "run")];
  let daemon: ChildProcess | undefined;
  let output = "";
  let sequence = 0;
  const port = await freePort();
  const publisher = await openPublisher(directory);
  const client = openClient(join(run, "hostd.sock"));

  const rig: Rig = {
    directory,
    state,
    run,
    port,
    publisher,
    client,
    log: () => output,
    publish(options) {
      sequence = options.sequence ?? sequence + 1;
      return publisher.publish({ ...options, sequence, port });
    },
    async start({ fault, repository, reserve = 1 } = {}) {
      const options = ["--state", state, "--run", run, "--repository", repository ?? publisher.directory];
      const { HOSTD_FAULT: _, ...environment } = process.env;
      const started = spawn(
        join(root, "bin/hostd"),
        ["serve", ...options, "--root", publisher.rootFile, "--reserve", String(reserve)],
        {
          env: fault === undefined ? environment : { ...environment, HOSTD_FAULT: fault },
          stdio: ["ignore", "ignore", "pipe"],
        },
      );
      daemon = started;
      started.stderr?.on("data", (text) => {
        output += text;
      });
      for (let tries = 0; tries < 400 && started.exitCode === null && started.signalCode === null; tries++) {
        if (
          await client.status().then(
            () => true,
            () => false,
          )
        )
          return;
        await delay(25);
      }
      if (fault === undefined) throw new Error(`hostd did not come up:\n${output}`);
    },
    async kill() {
      daemon?.kill("SIGKILL");
      await rig.ended();
    },
    async reboot() {
      await rig.kill();
      await endAll(directory, state, run);
      await rm(run, { recursive: true });
    },
    async stop() {
      daemon?.kill("SIGTERM");
      await rig.ended();
      return daemon?.exitCode ?? null;
    },
    async ended() {
      if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
      await new Promise((resolve) => daemon?.once("exit", resolve));
    },
    async operate(verb, body = {}) {
      const begun = await client.begin("shop", verb, body);
      const ended = await client.wait(begun, () => {}, AbortSignal.timeout(60_000));
      output += `${JSON.stringify({ operation: ended.id, kind: ended.kind, state: ended.state, reason: ended.reason, notes: ended.notes })}\n`;
      return ended;
    },
    get: (path) => ask(port, "GET", path),
    record: async () => Number(await ask(port, "POST", "/records")),
    records: async () => (await ask(port, "GET", "/records")).split("\n").filter((line) => line !== ""),
  };

  try {
    await use(rig);
  } catch (error) {
    if (error instanceof Error) error.message += `\n--- hostd ---\n${output.slice(-6_000)}`;
    throw error;
  } finally {
    await rig.kill();
    await endAll(directory, state, run);
    await rm(directory, { recursive: true, force: true });
  }
}

/** Ends holders and apps, and unmounts. */
async function endAll(directory: string, state: string, run: string): Promise<void> {
  const node = await openNode({ stateDirectory: state, runDirectory: run });
  for (const app of await readdir(join(run, "apps")).catch(() => [])) await node.removeHolder(app);
  for (const { mountPoint } of (await readMounts()).reverse()) {
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

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
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

export function readJson(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
}
