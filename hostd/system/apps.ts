import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { NodeError } from "./failure.ts";
import { askHolder, ensureHolder, holderGone } from "./holder.ts";
import { type HolderRecord, parseRecord } from "./holder-protocol.ts";
import { launchCommand, specFields } from "./launch.ts";
import type { Launcher } from "./launcher.ts";
import { LOG_LIMIT, lastOfLog, readLog } from "./logs.ts";
import type { Running, StartSpec } from "./node.ts";
import type { Paths } from "./paths.ts";
import { isAlive } from "./proc.ts";
import { readRecords, toRunning } from "./records.ts";
import { prepareSandbox } from "./sandbox.ts";

/** Processes of apps, through their holders. Nothing is remembered here: what is asked is always the holder's answer. */
export function openApps(paths: Paths, userOf: (app: string) => Promise<number>): Launcher {
  return {
    ensureHolder: (app, listen) => ensureHolder(paths, app, listen),
    start: async (spec) => start(paths, spec, await userOf(spec.app)),
    async stop(app, generation, timeoutMs) {
      await askHolder(paths, app, ["stop", generation, timeoutMs]);
    },
    async running(app) {
      return (await recordsOf(paths, app)).map(toRunning);
    },
    async removeHolder(app) {
      await askHolder(paths, app, ["quit"]);
      for (const record of await recordsOf(paths, app)) await killLeft(record);
      await rm(paths.appRun(app), { recursive: true, force: true });
    },
    logs: (app, generation) => readLog(paths, app, generation),
  };
}

async function start(paths: Paths, spec: StartSpec, user: number): Promise<Running> {
  const sandbox = await prepareSandbox(paths, spec, String(spec.generation));
  const command = launchCommand(sandbox, spec.listenFds);
  const log = paths.log(spec.app, spec.generation);
  await mkdir(dirname(log), { recursive: true });
  const head = ["start", spec.generation, log, LOG_LIMIT, spec.listenFds, command.length, ...command];
  const answer = await ask([...head, ...specFields(spec, user, spec.listenFds)]);
  const record = parseRecord(answer?.[0] ?? "");
  if (record === undefined) throw holderGone(paths, spec.app);
  return toRunning(record);

  async function ask(request: readonly (string | number)[]) {
    try {
      return await askHolder(paths, spec.app, request);
    } catch (error) {
      if (!(error instanceof NodeError) || error.code !== "start-failed") throw error;
      const output = await lastOfLog(log, 2048);
      throw new NodeError("start-failed", `${error.message}${output === "" ? "" : `\n${output.trimEnd()}`}`, {
        cause: error,
        hint: `hostd logs ${spec.app} shows its output`,
      });
    }
  }
}

/** From the holder; where it was killed, from its files. */
async function recordsOf(paths: Paths, app: string): Promise<HolderRecord[]> {
  const told = await askHolder(paths, app, ["status"]);
  return told === undefined ? readRecords(paths, app) : told.flatMap((line) => parseRecord(line) ?? []);
}

async function killLeft(record: HolderRecord): Promise<void> {
  if (record.exited === undefined && (await isAlive(record.init))) process.kill(record.init.pid, "SIGKILL");
}
