import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Source } from "../effects/source.ts";
import type { Digest } from "../manifests/digest.ts";
import { toFailureDocument } from "../manifests/failure.ts";
import type { Release } from "../manifests/release.ts";
import { type Ballast, openBallast } from "./ballast.ts";
import { type Board, openBoard } from "./board.ts";
import { type Care, openCare } from "./care/care.ts";
import { openCopying } from "./care/copying.ts";
import { openKeptScrub } from "./care/kept-scrub.ts";
import type { Clock } from "./clock.ts";
import type { Limits } from "./data/keep.ts";
import { openWatch, type Watch } from "./health/watch.ts";
import { type Journal, openJournal } from "./journal/journal.ts";
import type { Log } from "./log.ts";
import { createMemo, type Memo } from "./memo.ts";
import { openSubmit, type Submit } from "./operations/submit.ts";
import type { Follow } from "./stage/follow.ts";
import { createPace, type Pace } from "./stage/pace.ts";
import { createTurns, createTurnsByKey, type Turns } from "./stage/turns.ts";
import type { HostSystem } from "./system/host/open.ts";
import type { NodeSystem } from "./system/node.ts";
import { openVault, type Vault } from "./system/vault.ts";

/**
 * `report`: say so. `restart`: start it again once, stop it where that does not help. `rollback`: the same, and then
 * go back to its last good version.
 */
export const ON_SICK = ["report", "restart", "rollback"] as const;
export type OnSick = (typeof ON_SICK)[number];

export interface Settings {
  channel: string;
  /** Newest versions kept per app, besides those that retention protects. */
  keep: number;
  /** Bytes that staging leaves free on the state directory's file system. */
  reserve: number;
  /** Bytes per second that all stagings together fetch; no limit where it is undefined. */
  rate?: number | undefined;
  /** Stagings that fetch or lay down at once; the others wait. */
  stagings?: number;
  /** Per app; `ttl` is how long hostd's own are kept, milliseconds, for ever where it is undefined. */
  snapshots: Limits & { ttl: number | undefined };
  /** What is done about an app that was good and is sick. */
  onSick: OnSick;
  /** File that the key for secrets is made from; hostd makes one of its own where it is undefined. */
  secretsKey?: string | undefined;
  /** The host's own scripts: where they are, vendor first, and how long each may take, milliseconds. */
  checks: { directories: readonly string[]; timeout: number };
  /** What the channel releases is brought, or switched to, by itself; undefined where somebody asks for it. */
  follow?: Follow | undefined;
  /** How often hostd looks after what it has, and how often it reads every layer whole, milliseconds. */
  care: { every: number; scrubEvery: number };
}

/** More would only share one disk and one network. */
const DEFAULT_STAGINGS = 2;

/**
 * Verifies what a channel releases for an app, everything but the image's bytes; refuses what this node must not run. The
 * signal ends it at once.
 */
export type Examine = (asked: { app: string; channel: string; floor: number }, signal: AbortSignal) => Promise<Release>;

/** Throws where the policy is against a version that ran here before, by what the journal has of it. */
export type MayReturn = (
  asked: { app: string; channel: string; image: Digest; sequence: number },
  signal: AbortSignal,
) => Promise<void>;

export interface EngineOptions {
  stateDirectory: string;
  /** Called once this hostd alone has the state directory: it removes what another one would be in the middle of. */
  openNode: () => Promise<NodeSystem>;
  /** The system under this node, where that is a host image. */
  host: HostSystem | undefined;
  source: Source;
  examine: Examine;
  mayReturn: MayReturn;
  clock: Clock;
  log: Log;
  settings: Settings;
}

/** Everything that the steps of an operation work with. State is in the journal; `board` holds what a restart may forget. */
export interface Engine extends Omit<EngineOptions, "openNode"> {
  readonly node: NodeSystem;
  readonly journal: Journal;
  readonly board: Board;
  readonly submit: Submit;
  readonly watch: Watch;
  readonly ballast: Ballast;
  readonly vault: Vault;
  readonly care: Care;
  readonly turns: Turns;
  /** By the blob's digest: nobody fetches or lays down a layer while somebody else does. */
  readonly layerTurns: (digest: string) => Turns;
  readonly pace: Pace;
  readonly memo: Memo;
  /** Aborted when hostd is asked to end: operations stop where they are and go on at the next start. */
  readonly closing: AbortSignal;
  close(): Promise<void>;
}

/**
 * Opens the journal, if need be in the room that the ballast held (recover takes it again), and puts the parts together;
 * nothing runs before recover() (hostd/recover). Where another hostd has the journal, what that one has stays as it is.
 */
export async function openEngine({ openNode, ...options }: EngineOptions): Promise<Engine> {
  const vault = await openVault(join(options.stateDirectory, "secrets"), options.settings.secretsKey);
  await mkdir(join(options.stateDirectory, "parts"), { recursive: true });
  await mkdir(join(options.stateDirectory, "failures"), { recursive: true });
  const kept = await openKeptScrub(options.stateDirectory);
  const ballast = openBallast(options.stateDirectory);
  await ballast.drop();
  const copying = openCopying({
    isBusy: () => engine.journal.operations.unfinished().length > 0,
    ended: () => engine.journal.operations.ended(),
    copy: () => copyWhereItCan(engine),
  });
  const hindered = (error: unknown) => options.log("error", "journal not verified", { ...toFailureDocument(error) });
  let journal: Journal | undefined;
  let node: NodeSystem;
  try {
    journal = openJournal(join(options.stateDirectory, "hostd.db"), options.clock.date, copying.soon, hindered);
    node = await openNode();
  } catch (error) {
    journal?.close();
    await ballast.hold(); // it may be that of a hostd which has the journal
    throw error;
  }
  const closing = new AbortController();
  const care = openCare(() => engine, kept);
  void care.damaged.then(() => closing.abort()); // no step, and no way back, of what can no longer be written down
  const board = openBoard();
  const engine: Engine = {
    ...options,
    node,
    journal,
    board,
    ballast,
    vault,
    care,
    turns: createTurns(options.settings.stagings ?? DEFAULT_STAGINGS),
    layerTurns: createTurnsByKey(),
    pace: createPace(options.settings.rate, options.clock),
    memo: createMemo(),
    closing: closing.signal,
    submit: openSubmit(() => engine),
    watch: openWatch(() => engine),
    async close() {
      closing.abort();
      await engine.watch.close();
      await engine.care.close();
      await engine.submit.settled();
      await copying.close();
      journal.close();
    },
  };
  return engine;
}

/** A disk that takes no copy now must not stop what the journal is for; the last one stays. */
async function copyWhereItCan({ journal, log }: Pick<Engine, "journal" | "log">): Promise<void> {
  await journal.copy().catch((error) => log("warn", "journal not copied", { ...toFailureDocument(error) }));
}
