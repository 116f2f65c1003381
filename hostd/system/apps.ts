import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import * as z from "zod";
import { unlessMissing } from "../../effects/errno.ts";
import { makeCgroups, removeCgroups } from "./cgroups.ts";
import { leaveEnding } from "./ending.ts";
import { NodeError } from "./failure.ts";
import { askHolder, ensureHolder, holderGone } from "./holder.ts";
import { type HolderRecord, parseRecord } from "./holder-protocol.ts";
import { launchCommand, SANDBOX_TASKS, specFields } from "./launch.ts";
import { limitsInForce } from "./limits.ts";
import { LOG_LIMIT, lastOfLog, readLog } from "./logs.ts";
import type { Running, StartSpec } from "./node.ts";
import { instanceOf, type Paths } from "./paths.ts";
import { endLeft, readRecords, toRunning } from "./records.ts";
import type { RecordingLauncher } from "./remembered.ts";
import { prepareSandbox } from "./sandbox.ts";

/** Processes of apps, through their holders. Nothing is remembered here: what is asked is always the holder's answer. */
export function openApps(
  paths: Paths,
  runDirectory: string,
  userOf: (app: string) => Promise<number>,
): RecordingLauncher {
  const parent = `hostd-${instanceOf(runDirectory)}`;
  return {
    ensureHolder: (app, listen) => ensureHolder(paths, app, listen),
    start: async (spec) => start(paths, parent, spec, await userOf(spec.app)),
    async stop(app, generation, timeoutMs) {
      const answer = await askHolder(paths, app, ["stop", generation, timeoutMs]);
      if (answer === undefined) await endLeft(paths, app, generation, timeoutMs);
      await leaveCgroups(paths, app, generation);
    },
    running: (app) => recordsOf(paths, app),
    async removeHolder(app) {
      await askHolder(paths, app, ["quit"]);
      for (const { generation } of await recordsOf(paths, app)) await endLeft(paths, app, generation, 0);
      const limited = (await unlessMissing(readdir(dirname(paths.cgroups(app, 0))))) ?? [];
      for (const generation of limited) await leaveCgroups(paths, app, Number(generation));
      await rm(paths.appRun(app), { recursive: true, force: true });
    },
    async limitsInForce(app, generation) {
      const alive = (await recordsOf(paths, app)).find((one) => one.generation === generation && !one.exited);
      return alive === undefined ? undefined : limitsInForce(alive.pid, SANDBOX_TASKS);
    },
    logs: (app, generation) => readLog(paths, app, generation),
    keepsLog: async () => true,
  };
}

async function start(paths: Paths, parent: string, spec: StartSpec, user: number): Promise<Running> {
  const sandbox = await prepareSandbox(paths, spec, String(spec.generation));
  const command = launchCommand(sandbox, spec.listenFds, await enterCgroups(paths, parent, spec));
  const log = paths.log(spec.app, spec.generation);
  await mkdir(dirname(log), { recursive: true });
  await leaveEnding(paths, spec);
  const head = ["start", spec.generation, log, LOG_LIMIT, spec.listenFds, command.length, ...command];
  const answer = await ask([...head, ...specFields(spec, user, spec.listenFds)]);
  const record = parseRecord(answer?.[0] ?? "");
  if (record === undefined) throw holderGone(paths, spec.app);
  return toRunning(record);

  async function ask(request: readonly (string | number)[]) {
    try {
      return await askHolder(paths, spec.app, request);
    } catch (error) {
      if (!(error instanceof NodeError) || !/^(start|launcher)-failed$/.test(error.code)) throw error;
      const output = await lastOfLog(log, 2048);
      throw new NodeError(error.code, `${error.message}${output === "" ? "" : `\n${output.trimEnd()}`}`, {
        cause: error,
        hint: `hostd logs ${spec.app} shows its output`,
      });
    }
  }
}

/** Where its limits hold; which cgroups they are is written down first, so that a stop finds them to remove. */
async function enterCgroups(paths: Paths, parent: string, { app, generation, limits }: StartSpec): Promise<string[]> {
  if (limits === undefined) return [];
  const cgroups = await makeCgroups(parent, `${app}@${generation}`, limits, SANDBOX_TASKS);
  await mkdir(dirname(paths.cgroups(app, generation)), { recursive: true });
  await writeFile(paths.cgroups(app, generation), JSON.stringify(cgroups));
  return cgroups;
}

async function leaveCgroups(paths: Paths, app: string, generation: number): Promise<void> {
  const text = await unlessMissing(readFile(paths.cgroups(app, generation), "utf8"));
  if (text === undefined) return;
  await removeCgroups(z.array(z.string()).parse(JSON.parse(text)));
  await rm(paths.cgroups(app, generation), { force: true });
}

/** From the holder; where it was killed, from its files. */
async function recordsOf(paths: Paths, app: string): Promise<HolderRecord[]> {
  const told = await askHolder(paths, app, ["status"]);
  return told === undefined ? readRecords(paths, app) : told.flatMap((line) => parseRecord(line) ?? []);
}
