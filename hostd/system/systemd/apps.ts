import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { unlessMissing } from "../../../effects/errno.ts";
import { DEFAULT_STOP_TIMEOUT, leaveEnding } from "../ending.ts";
import { NodeError } from "../failure.ts";
import { encodeFields, type HolderRecord } from "../holder-protocol.ts";
import { launchCommand, specFields } from "../launch.ts";
import { limitsInForce } from "../limits.ts";
import type { Running, StartSpec } from "../node.ts";
import type { Paths } from "../paths.ts";
import { endLeft, readRecords, toRunning } from "../records.ts";
import type { RecordingLauncher } from "../remembered.ts";
import { prepareSandbox } from "../sandbox.ts";
import { openSockets, removeUnits, socketsOf } from "./sockets.ts";
import { forgetUnits, isBusy, journalOf, managerOn, startUnit, stopUnit, writeUnit } from "./systemctl.ts";
import { serviceUnit, UNIT_DIRECTORY, UNIT_TASKS, type UnitNames, unitNames } from "./units.ts";

/** Bytes of a log that are shown, and the lines that are asked for to have them. */
const SHOWN = 64 * 1024;
const LINES_SHOWN = 1000;

/** How a reason begins that is no fault of the image's (process.pl). */
const LAUNCHER = "launcher\n";

/**
 * Processes of apps as systemd units: a socket unit for each LISTEN, a service for each generation with steward.pl as
 * its main process. hostd owns none of it; records are the stewards' files, logs are the journal's.
 */
export function openSystemdApps(
  paths: Paths,
  runDirectory: string,
  userOf: (app: string) => Promise<number>,
): RecordingLauncher {
  const namesOf = (app: string) => unitNames(runDirectory, app);
  return {
    async ensureHolder(app, listen) {
      await mkdir(paths.appRun(app), { recursive: true, mode: 0o700 });
      await openSockets(paths, namesOf(app), app, listen);
    },
    start: async (spec) => start(paths, spec, await userOf(spec.app), runDirectory),
    stop: (app, generation, timeoutMs) => stop(paths, namesOf(app), app, generation, timeoutMs),
    running: (app) => recordsOf(paths, namesOf(app), app),
    async limitsInForce(app, generation) {
      const running = await recordOf(paths, namesOf(app), app, generation);
      return running === undefined || running.exited ? undefined : limitsInForce(running.pid, UNIT_TASKS);
    },
    async removeHolder(app) {
      const names = namesOf(app);
      for (const { generation } of await readRecords(paths, app)) {
        await stop(paths, names, app, generation, 0);
      }
      await removeUnits(names);
      await rm(paths.appRun(app), { recursive: true, force: true });
    },
    async logs(app, generation) {
      const newest = generation ?? (await readRecords(paths, app)).at(-1)?.generation;
      return newest === undefined ? "" : readJournal(namesOf(app).service(newest));
    },
    keepsLog: async (app, generation) => (await managerOn(namesOf(app).service(generation))) !== "",
  };
}

async function start(paths: Paths, spec: StartSpec, user: number, runDirectory: string): Promise<Running> {
  const { app, generation, listenFds } = spec;
  const names = unitNames(runDirectory, app);
  const unit = names.service(generation);
  const living = await recordOf(paths, names, app, generation);
  if (living !== undefined && living.exited === undefined) {
    throw new NodeError("already-running", `${app}: generation ${generation} runs already`);
  }
  const sockets = await socketsOf(paths, app);
  if (sockets === undefined || sockets.length < listenFds) {
    throw new NodeError(
      "holder-failed",
      `${app}: expected ${listenFds} open sockets, got ${sockets?.length ?? "none"}`,
    );
  }
  const command = launchCommand(await prepareSandbox(paths, spec, String(generation)), listenFds);
  const directory = paths.appRun(app);
  const input = encodeFields(specFields(spec, user, listenFds));
  await writeFile(join(directory, `spec.${generation}`), input, { mode: 0o600 });
  await leaveEnding(paths, spec);
  const service = {
    app,
    generation,
    directory,
    command,
    sockets: sockets.slice(0, listenFds),
    stopTimeout: spec.stopTimeout ?? DEFAULT_STOP_TIMEOUT,
    stopSignal: spec.stopSignal,
    limits: spec.limits,
  };
  await writeUnit(unit, serviceUnit(service, names));

  const failure = await startUnit(unit);
  if (failure !== undefined) throw await startFailed(paths, spec, unit, failure);
  const record = await recordOf(paths, names, app, generation);
  if (record === undefined) throw new NodeError("launcher-failed", `${app}: ${unit} left no record`);
  return record;
}

/** Without a word of steward.pl it did not come to the sandbox; that a step before the image failed stands in it. */
async function startFailed(paths: Paths, spec: StartSpec, unit: string, job: string): Promise<NodeError> {
  const reason = await unlessMissing(readFile(join(paths.appRun(spec.app), `failed.${spec.generation}`), "utf8"));
  const output = (await readJournal(unit)).slice(-2048).trimEnd();
  const code = reason === undefined || reason.startsWith(LAUNCHER) ? "launcher-failed" : "start-failed";
  const message = reason?.replace(LAUNCHER, "") || job;
  return new NodeError(code, `${spec.app}: ${message}${output === "" ? "" : `\n${output}`}`, {
    hint: `hostd logs ${spec.app} shows its output; journalctl --unit='${unit}' what systemd did`,
  });
}

/** Files may be gone, by whose hand ever: only systemd knows whether the unit runs, and only the kernel what it left. */
async function stop(paths: Paths, names: UnitNames, app: string, generation: number, timeoutMs: number) {
  const file = join(UNIT_DIRECTORY, names.service(generation));
  const patience = join(paths.appRun(app), `stop.${generation}`);
  const known = await unlessMissing(readFile(file));
  await unlessMissing(writeFile(patience, String(timeoutMs)));
  await stopUnit(names.service(generation));
  if (known === undefined) await forgetUnits(names.all);
  await endLeft(paths, app, generation, timeoutMs);
  for (const written of [patience, file]) await rm(written, { force: true });
}

/** A steward that is about to say how its app ended is waited for; one that was killed cannot say it. */
async function recordsOf(paths: Paths, names: UnitNames, app: string): Promise<HolderRecord[]> {
  for (;;) {
    const records = await readRecords(paths, app);
    const untold = records.filter(({ exited }) => exited !== undefined && exited.code === undefined);
    const busy = await Promise.all(untold.map(({ generation }) => isBusy(names.service(generation))));
    if (!busy.includes(true)) return untold.length === 0 ? records : readRecords(paths, app);
    await delay(10);
  }
}

async function recordOf(paths: Paths, names: UnitNames, app: string, generation: number) {
  const record = (await recordsOf(paths, names, app)).find((one) => one.generation === generation);
  return record === undefined ? undefined : toRunning(record);
}

async function readJournal(unit: string): Promise<string> {
  const text = Buffer.from(await journalOf(unit, LINES_SHOWN));
  return text.subarray(-SHOWN).toString();
}
