import { readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { unlessMissing } from "../effects/errno.ts";
import { refuseAnswered } from "./api/server.ts";
import { KEPT_DATA, keepData } from "./data/kept.ts";
import { HostdError } from "./error.ts";
import { KEPT_OF_HOST, keepHost } from "./host/keep.ts";
import { copyPath, requireJournal } from "./journal/inspect.ts";
import { type Journal, openJournal } from "./journal/journal.ts";
import { markPath } from "./journal/mark.ts";
import { openHost } from "./system/host/open.ts";
import { unmountBelow } from "./system/mount.ts";
import { openNode } from "./system/open.ts";
import { lastRunDirectory, PAIR } from "./system/pair.ts";
import { appsIn, pathsOf } from "./system/paths.ts";

export interface ResetOptions {
  stateDirectory: string;
  /** The one that hostd had last, unless it is named. */
  runDirectory?: string | undefined;
  /** Also forget the apps' data and snapshots, their user ids, and what the node trusts. */
  wipe: boolean;
  /** Where /proc and the ESP are: `/` but in tests. */
  machine: string;
}

export interface ResetReport {
  stopped: string[];
  unmounted: number;
  removed: string[];
  /** Data snapshots that were forgotten. */
  snapshots: number;
  /** Data was kept whose format nobody knows any more, since the journal is damaged. */
  formatsLost: boolean;
}

const JOURNAL = "hostd.db";
const MARK = markPath(JOURNAL);
const COPY = copyPath(JOURNAL);
const DEFAULT_RUN = "/run/hostd";
const KEPT_WITHOUT_WIPE = ["data", KEPT_DATA, "data-driver", "users.json", "trust"];

/**
 * Stops every app and takes the node back to empty; the system that it runs on stays. Data that is kept keeps its format;
 * snapshots go, since only the journal knows what they hold. Refuses while hostd runs, and a run directory that has not
 * its apps; may be repeated after a crash.
 */
export async function reset(options: ResetOptions): Promise<ResetReport> {
  const stateDirectory = resolve(options.stateDirectory);
  requireJournal(join(stateDirectory, JOURNAL)); // its files are what tells a state directory from any other
  const runDirectory = resolve(options.runDirectory ?? (await lastRunDirectory(stateDirectory)) ?? DEFAULT_RUN);
  const journal = await holdJournal(stateDirectory, runDirectory);
  try {
    const host = await openHost({ root: options.machine, stateDirectory, runDirectory });
    const readable = journal instanceof HostdError ? undefined : journal;
    if (host !== undefined && readable === undefined) throw journal; // it says what the system that runs is
    const node = await openNode({ stateDirectory, runDirectory, launcher: "auto" });
    const stopped = await appsIn(pathsOf({ stateDirectory, runDirectory }).appsInRun);
    for (const app of stopped) await node.removeHolder(app);
    const slots = await node.mountedSlots();
    for (const { app, image } of slots) await node.unmountSlot(app, image);
    const snapshots = await node.forgetAll();
    if (options.wipe) await node.wipeData();
    const formatsLost = !options.wipe && !(await keepData(stateDirectory, readable));
    if (host !== undefined && readable !== undefined) {
      await keepHost(host, readable, { stateDirectory, wipe: options.wipe });
    }
    const keptOfHost = host === undefined ? [] : KEPT_OF_HOST;
    const removed = await removeState(stateDirectory, [...keptOfHost, ...(options.wipe ? [] : KEPT_WITHOUT_WIPE)]);
    await unmountBelow(runDirectory);
    for (const name of (await unlessMissing(readdir(runDirectory))) ?? []) {
      await rm(join(runDirectory, name), { recursive: true, force: true });
    }
    return { stopped, unmounted: slots.length, removed, snapshots, formatsLost };
  } finally {
    if (!(journal instanceof HostdError)) journal.close();
  }
}

/** The journal's lock keeps hostd out. One that is damaged is no hindrance. */
async function holdJournal(stateDirectory: string, runDirectory: string): Promise<Journal | HostdError> {
  const file = join(stateDirectory, JOURNAL);
  try {
    return openJournal(file, () => new Date());
  } catch (error) {
    if (!(error instanceof HostdError) || error.code !== "journal-damaged") throw error;
    await refuseAnswered(join(runDirectory, "hostd.sock")); // a hostd that refuses to work holds no journal
    return error;
  }
}

/** In an order in which a reset that is cut short can be begun again. */
async function removeState(stateDirectory: string, kept: readonly string[]): Promise<string[]> {
  const names = (await readdir(stateDirectory)).filter((name) => !kept.includes(name));
  const removed = orderRemoval(names);
  for (const name of removed) await rm(join(stateDirectory, name), { recursive: true, force: true });
  return removed;
}

/**
 * The journal last, just before it the copy that it could be restored from, and what names the run directory, of which
 * mounts may be left. Its mark first: a journal whose log is gone and whose mark is not counts as damaged, and a host that
 * cannot read its journal is not reset.
 */
export function orderRemoval(names: readonly string[]): string[] {
  const last = [PAIR, COPY, JOURNAL];
  const rank = (name: string) => (name === MARK ? -1 : last.indexOf(name) + 1);
  return names.toSorted((a, b) => rank(a) - rank(b));
}
