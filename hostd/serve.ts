import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { unlessMissing } from "../effects/errno.ts";
import { openSource } from "../effects/source.ts";
import { seedPath } from "../keys/truststate.ts";
import { parseTime } from "../manifests/duration.ts";
import { Failure, toFailureDocument } from "../manifests/failure.ts";
import { lengthOf, parseWindow } from "../manifests/window.ts";
import { refuseAnswered, type Serving, serveApi, serveRefusal } from "./api/server.ts";
import { systemClock } from "./clock.ts";
import { parseTtl } from "./data/ttl.ts";
import { type Engine, ON_SICK, openEngine, type Settings } from "./engine.ts";
import { HostdError } from "./error.ts";
import { type Log, logToStderr } from "./log.ts";
import { recover } from "./recover/recover.ts";
import type { Follow } from "./stage/follow.ts";
import { parseRate } from "./stage/pace.ts";
import { SOCKET_PATH_LIMIT } from "./system/holder.ts";
import { openHost } from "./system/host/open.ts";
import { parsePool } from "./system/lvm.ts";
import type { LauncherChoice } from "./system/node.ts";
import { notifyManager, watchdogInterval } from "./system/notify.ts";
import { openNode } from "./system/open.ts";
import { tell } from "./tell.ts";

export interface ServeOptions {
  stateDirectory: string;
  runDirectory: string;
  repository: string | undefined;
  root: string | undefined;
  channel: string;
  /** What is done by itself about what the channel releases, and when. */
  follow: string;
  between: string | undefined;
  keep: string;
  reserve: string;
  rate: string | undefined;
  stagings: string;
  /** What keeps the data of apps, and what snapshots of one app may take. */
  data: string;
  snapshots: string;
  snapshotBytes: string | undefined;
  snapshotTtl: string;
  /** File that the key for secrets is made from. */
  secretsKey: string | undefined;
  launcher: string;
  onSick: string;
  /** Directories of host scripts, and seconds that each script may take. */
  vendorChecks: string;
  checks: string;
  checkTimeout: string;
  /** How often hostd looks after what it has, and how often it reads every layer whole. */
  care: string;
  scrub: string;
  /** Where /proc, /sys and /efi of the machine are. */
  machine: string;
}

const MEGABYTE = 1_000_000;
/** Milliseconds: the longest that a timer waits. */
const LONGEST_TIME = 24 * 86_400_000;

/** Runs the daemon until it is asked to end: recover first, then answer. Apps go on without it. */
export async function serve(options: ServeOptions): Promise<void> {
  const { settings, launcher, repository, socket } = readOptions(options);
  const [stateDirectory, runDirectory] = [resolve(options.stateDirectory), resolve(options.runDirectory)];
  if (process.getuid?.() !== 0) {
    throw new Failure("failed", "not-root", "hostd mounts layers and starts apps as their own users: expected root", {
      hint: "run it as root",
    });
  }
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const trustDirectory = await seed(stateDirectory, options.root);
  const source = openSource(repository);
  const ended = untilAskedToEnd();
  await refuseAnswered(socket); // before anything of another hostd's apps is touched
  const host = await openHost({ root: resolve(options.machine), stateDirectory, runDirectory });
  const opened = await openEngine({
    stateDirectory,
    source,
    settings,
    clock: systemClock,
    log: logToStderr,
    examine: async (asked, signal) => {
      const { openExaminer } = await import("./stage/examine.ts"); // only a staging needs its memory
      return await openExaminer({ source, trustDirectory, now: systemClock.date })(asked, signal);
    },
    mayReturn: async (asked, signal) => {
      const { openReturnJudge } = await import("./stage/examine.ts");
      await openReturnJudge({ source, trustDirectory, now: systemClock.date })(asked, signal);
    },
    openNode: () => openNode({ stateDirectory, runDirectory, launcher, data: options.data }),
    host,
  }).catch(unlessDamaged);
  if (opened instanceof HostdError) {
    if (host !== undefined && host.machine.booted !== (await host.files.good())) throw opened; // its guard takes it back
    return await refuse(socket, opened, ended);
  }
  const engine = opened;
  const api = await recoverAndAnswer(engine, socket);
  engine.log("info", "ready", { socket, state: stateDirectory });
  const signsOfLife = await tellReady(engine.log);
  const reason = await Promise.race([ended, engine.care.damaged]);
  clearInterval(signsOfLife);
  await api.close();
  if (reason instanceof HostdError) {
    await engine.close();
    return await refuse(socket, reason, ended);
  }
  engine.log("info", "ending; apps go on", { signal: reason });
  await notifyManager("--stopping").catch(() => {}); // the manager learns it from the exit as well
  tell(engine, "hostd.stopped", { detail: { signal: reason } });
  await engine.close();
}

/** A hostd that cannot do both ends as a whole: what was begun goes on by nobody's hand that cannot be asked. */
async function recoverAndAnswer(engine: Engine, socket: string): Promise<Serving> {
  try {
    await recover(engine);
    return await serveApi(engine, socket);
  } catch (error) {
    await engine.close();
    throw error;
  }
}

function unlessDamaged(error: unknown): HostdError {
  if (error instanceof HostdError && error.code === "journal-damaged") return error;
  throw error;
}

/**
 * Does nothing but say why, until it is asked to end: what the journal says cannot be believed, and a start again and
 * again would not mend it. Apps that run go on.
 */
async function refuse(socket: string, reason: HostdError, ended: Promise<string>): Promise<void> {
  const failure = toFailureDocument(reason);
  logToStderr("error", "hostd does nothing until its journal is restored", { ...failure });
  const api = await serveRefusal(failure, socket);
  const signsOfLife = await tellReady(logToStderr);
  await ended;
  clearInterval(signsOfLife);
  await api.close();
}

async function seed(stateDirectory: string, root: string | undefined): Promise<string> {
  const directory = join(stateDirectory, "trust");
  const present = await unlessMissing(readFile(seedPath(directory)));
  const seeded = present !== undefined;
  if (root === undefined && seeded) return directory;
  if (root === undefined) {
    throw new Failure("usage", "no-root", `${directory}: expected a trusted root, found none`, {
      hint: "give it once, on the first start: hostd serve --root root.json",
    });
  }
  const bytes = await unlessMissing(readFile(root));
  if (bytes === undefined && seeded) return directory;
  if (bytes === undefined) throw new Failure("usage", "no-root", `${root}: expected a root.json, found no file`);
  if (present?.equals(bytes)) return directory;
  const { seedTrust } = await import("../keys/trust.ts");
  await seedTrust(directory, bytes);
  return directory;
}

/** What the options say; refuses, without a look at the node, the first one that is not what it has to be. */
export function readOptions(options: ServeOptions) {
  if (options.data !== "auto") parsePool(options.data);
  return {
    settings: readSettings(options),
    launcher: readLauncher(options.launcher),
    repository: locate(options.repository),
    socket: socketIn(resolve(options.runDirectory)),
  };
}

function socketIn(runDirectory: string): string {
  const socket = join(runDirectory, "hostd.sock");
  if (Buffer.byteLength(socket) <= SOCKET_PATH_LIMIT) return socket;
  throw usage("--run", `a directory whose socket has a path of at most ${SOCKET_PATH_LIMIT} bytes`, socket);
}

function readSettings(options: ServeOptions): Settings {
  const keep = Number(options.keep);
  const reserve = Number(options.reserve);
  if (!Number.isInteger(keep) || keep < 1) throw usage("--keep", "a whole number from 1 on", options.keep);
  if (!Number.isFinite(reserve) || reserve < 0) throw usage("--reserve", "megabytes", options.reserve);
  const timeout = Number(options.checkTimeout);
  if (!Number.isFinite(timeout) || timeout <= 0) throw usage("--check-timeout", "seconds", options.checkTimeout);
  const checks = { directories: [resolve(options.vendorChecks), resolve(options.checks)], timeout: timeout * 1_000 };
  const stagings = Number(options.stagings);
  if (!Number.isInteger(stagings) || stagings < 1)
    throw usage("--stagings", "a whole number from 1 on", options.stagings);
  const rate = parseRate(options.rate, "--rate");
  const count = Number(options.snapshots);
  if (!Number.isInteger(count) || count < 1) throw usage("--snapshots", "a whole number from 1 on", options.snapshots);
  const bytes = parseRate(options.snapshotBytes, "--snapshot-bytes");
  const snapshots = { count, bytes, ttl: parseTtl(options.snapshotTtl, "--snapshot-ttl") };
  const onSick = ON_SICK.find((policy) => policy === options.onSick);
  if (onSick === undefined) throw usage("--on-sick", ON_SICK.join(", "), options.onSick);
  const secretsKey = options.secretsKey === undefined ? undefined : resolve(options.secretsKey);
  const care = { every: readTime("--care", options.care), scrubEvery: readTime("--scrub", options.scrub) };
  return {
    channel: options.channel,
    follow: readFollow(options, care.every),
    keep,
    reserve: reserve * MEGABYTE,
    rate,
    stagings,
    snapshots,
    onSick,
    checks,
    secretsKey,
    care,
  };
}

function readTime(flag: string, text: string): number {
  const time = parseTime(text);
  if (time === undefined || time > LONGEST_TIME) throw usage(flag, "a time such as 1h, of at most 24d", text);
  return time;
}

function readFollow({ follow: how, between }: ServeOptions, every: number): Follow | undefined {
  if (how !== "no" && how !== "stage" && how !== "activate") throw usage("--follow", "stage, activate or no", how);
  if (between === undefined) return how === "no" ? undefined : { how };
  const window = parseWindow(between);
  if (window === undefined) throw usage("--between", "two times of day such as 02:00-05:00", between);
  if (how !== "activate") throw usage("--between", "--follow activate beside it", `--follow ${how}`);
  if (lengthOf(window) < every)
    throw usage("--between", "a time as long as --care, or no look would be in it", between);
  return { how, between: window };
}

function readLauncher(text: string): LauncherChoice {
  if (text === "auto" || text === "systemd" || text === "bubblewrap") return text;
  throw usage("--launcher", "auto, systemd or bubblewrap", text);
}

function locate(repository: string | undefined): string {
  if (repository === undefined) throw usage("--repository", "a directory or an http(s) address", "nothing");
  return /^\w+:\/\//.test(repository) ? repository : resolve(repository);
}

function usage(flag: string, expected: string, found: string): Failure {
  return new Failure("usage", "bad-option", `${flag}: expected ${expected}, got ${found}`, {
    hint: "hostd serve --help",
  });
}

async function tellReady(log: Log): Promise<NodeJS.Timeout | undefined> {
  const warn = (error: unknown) => log("warn", "service manager not told", { ...toFailureDocument(error) });
  await notifyManager("--ready").catch(warn);
  const interval = watchdogInterval();
  return interval === undefined ? undefined : setInterval(() => void notifyManager("WATCHDOG=1").catch(warn), interval);
}

function untilAskedToEnd(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
}
