import type { GenerationState, OperationKind, OperationState, SlotState } from "../manifests/node.ts";

// The one table of operations, steps, states and legal transitions. The code runs from it, docs/states.md is checked
// against it, and the tests are made from it (design section 6, "Every change is an operation in a journal").

/** What hostd does, at its next start, about a step that a crash interrupted; `boot`: by the system that was booted. */
export type AfterCrash = "resume" | "undo" | "boot";

export interface StepRule {
  does: string;
  /** What undoing it does; absent where there is nothing to take back. */
  undo?: string;
  afterCrash: AfterCrash;
}

export const STEPS = {
  trust: { does: "verify release, statements and policy, then the image's manifest and config", afterCrash: "resume" },
  space: {
    does: "collect slots beyond retention, then check room for what is missing plus a reserve",
    afterCrash: "resume",
  },
  fetch: {
    does: "fetch missing layers into parts/, going on where a partial file ends; a repository that is a directory here is read in place",
    afterCrash: "resume",
  },
  lay: { does: "lay down each layer as a checked EROFS file, once its blob is verified", afterCrash: "resume" },
  prune: { does: "collect slots beyond retention, and the layers that nobody needs then", afterCrash: "resume" },
  sync: { does: "one barrier for everything written", afterCrash: "resume" },
  record: { does: "record the slot as staged and the release's sequence as accepted", afterCrash: "resume" },
  plan: { does: "decide image, config and data of the next generation", afterCrash: "resume" },
  mount: {
    does: "put the slot on trial, try the programs that start apps, check and mount its layers",
    undo: "end the trial: condemn and quarantine the version at fault, else withdraw it",
    afterCrash: "undo",
  },
  room: {
    does: "check that the snapshot that comes would hold all of the data, and room and quota for it and for the way back from it; hostd's own oldest ones go first where that is enough",
    afterCrash: "undo",
  },
  quiet: {
    does: "bring the app to write nothing: its QUIESCE hook, else stop it",
    undo: "let it go on: its RESUME hook, else start it",
    afterCrash: "undo",
  },
  beside: {
    does: "start the new generation beside the old one, where both images allow it",
    undo: "see that the old generation runs, then stop the new one",
    afterCrash: "undo",
  },
  prove: {
    does: "judge the new generation beside the old one, by answers that the old one cannot give, then required.d",
    afterCrash: "undo",
  },
  drain: {
    does: "run the old version's DRAIN hook; that it fails ends the switch, and is noted alone in a rollback or where that version is sick",
    afterCrash: "undo",
  },
  stop: {
    does: "stop the old generation; its LISTEN sockets stay open",
    undo: "start the old generation",
    afterCrash: "undo",
  },
  snapshot: {
    does: "snapshot the data",
    undo: "forget the snapshot unless the new generation may have written",
    afterCrash: "undo",
  },
  migrate: {
    does: "run the new version's MIGRATE hook; in a rollback or a run only where the data is older than what it writes",
    undo: "restore the snapshot, unless the new generation may have written data that the old one can read; where there was no data before, set it aside; where that cannot be had, stop the app and hold it",
    afterCrash: "undo",
  },
  restore: {
    does: "restore the snapshot asked for; keeps the data as it is where none was",
    undo: "restore the data as it was before; where that cannot be had, stop the app and hold it",
    afterCrash: "undo",
  },
  config: { does: "begin the new generation, with its config", afterCrash: "undo" },
  flip: {
    does: "make the new generation the current one, in one transaction",
    undo: "make the old generation the current one",
    afterCrash: "resume",
  },
  signal: {
    does: "put the new files in place in the running sandbox and send the signal that its image names",
    undo: "put the old files back and send it again; start the old generation where it ended",
    afterCrash: "resume",
  },
  start: {
    does: "start the new generation, unless it runs already; a job only to be activated or run, and never twice",
    undo: "stop the new generation, unless it runs beside the old one",
    afterCrash: "resume",
  },
  judge: {
    does: "wait until its checks are good and stay good (a job: for its end), then required.d; proven beside, once more good alone",
    afterCrash: "resume",
  },
  ready: { does: "run the new version's READY hook; in a rollback then its REVERTED hook", afterCrash: "resume" },
  commit: {
    does: "bless slot and generation; quarantine what a rollback left; run green.d",
    afterCrash: "resume",
  },
  sound: {
    does: "find out, while the app runs, that all it is started from and with is there and whole",
    afterCrash: "resume",
  },
  bounce: {
    does: "stop the current generation, unless it is kept stopped, and start it again",
    undo: "stop the app and hold it; where the node is at fault, stop it alone, to be tried again; where somebody aborted the restart, let it run; what was kept stopped is so again",
    afterCrash: "resume",
  },
  halt: { does: "stop the app and hold it: its data, slots and sockets are kept", afterCrash: "resume" },
  removable: { does: "find out, while the app runs, that all of it can be removed", afterCrash: "resume" },
  vacate: { does: "stop the app, close its sockets, and have nothing of it run here any more", afterCrash: "resume" },
  wipe: { does: "delete its data and every snapshot of it, where that was asked for", afterCrash: "resume" },
  clear: {
    does: "collect every version of it, pinned ones too, and the layers that nobody needs then",
    afterCrash: "resume",
  },
  again: { does: "let the app go on: its RESUME hook, else start it", afterCrash: "resume" },
  forget: { does: "delete snapshots, then forget that they were", afterCrash: "resume" },
  target: { does: "decide the host's next version, and whether and why it takes a reboot", afterCrash: "resume" },
  install: {
    does: "check layers, make /etc, put the UKI on the ESP, whole and read back",
    undo: "remove them unless the version was proven here before; condemn and quarantine it if it is at fault",
    afterCrash: "resume",
  },
  arm: {
    does: "forget earlier trials; for a reboot, give the entry its tries and the guard its deadline, have the loader boot it once",
    undo: "have the loader boot its default",
    afterCrash: "boot",
  },
  reboot: {
    does: "reboot into the trial, or have the guard exchange hostd alone",
    undo: "the same into the last good system, where the trial runs",
    afterCrash: "boot",
  },
  gates: {
    does: "boot counted, the image's checks, the host's required.d, every app that ran is healthy again",
    afterCrash: "boot",
  },
  confirm: { does: "wait for hostd confirm over a new connection, where that was asked for", afterCrash: "boot" },
  bless: {
    does: "take the tries off the entry, make it the default, then the last good system; run green.d",
    undo: "make the old system the default and the last good one",
    afterCrash: "boot",
  },
  drift: { does: "refuse where a file of /etc that changes was changed by hand", afterCrash: "resume" },
  declare: {
    does: "replace files of /etc, for now and for the next boot; have systemd reload, or start again, the units that read them",
    undo: "put the old files back and tell the units again",
    afterCrash: "resume",
  },
  checks: { does: "judge the system by its image's checks, then the host's required.d", afterCrash: "resume" },
  recovery: {
    does: "bring the proven version's recovery system to the ESP, whole and read back before the old one goes",
    afterCrash: "resume",
  },
  adopt: { does: "record what runs as the last good system as the host's current version", afterCrash: "resume" },
} as const satisfies Record<string, StepRule>;

export type StepName = keyof typeof STEPS;

const STAGE = ["trust", "space", "fetch", "lay", "sync", "record"] as const;
const ARM = ["room", "mount", "beside", "prove", "drain", "stop", "snapshot"] as const;
const SWITCH = ["config", "flip", "start", "judge", "ready", "commit"] as const;
const UPGRADE = ["target", "install", "arm", "reboot", "gates", "confirm", "bless", "recovery"] as const;

/** Each kind of operation as its steps, in order; a failure undoes, in reverse, every step that was started. */
export const OPERATIONS = {
  stage: [...STAGE],
  activate: ["plan", ...ARM, "migrate", ...SWITCH],
  deploy: [...STAGE, "plan", ...ARM, "migrate", ...SWITCH],
  run: ["plan", "room", "mount", "snapshot", "migrate", ...SWITCH],
  rollback: [...ARM, "restore", "migrate", ...SWITCH],
  configure: ["plan", "mount", "beside", "prove", "drain", "stop", ...SWITCH],
  reload: ["plan", "mount", "config", "flip", "signal", "judge", "commit"],
  restart: ["sound", "bounce", "judge"],
  halt: ["halt"],
  remove: ["removable", "vacate", "wipe", "clear"],
  prune: ["prune"],
  snapshot: ["room", "quiet", "snapshot", "again"],
  forget: ["forget"],
  upgrade: [...UPGRADE],
  "deploy-host": [...STAGE, ...UPGRADE],
  "configure-host": ["plan", "drift", "declare", "config", "flip", "checks", "commit"],
  adopt: ["adopt"],
} as const satisfies Record<OperationKind, readonly StepName[]>;

/** Kinds that change the system itself, and go on in whatever is booted. */
export function isUpgrade(kind: OperationKind): boolean {
  return kind === "upgrade" || kind === "deploy-host";
}

/** Steps that change what is here: they hold the lock `stage`, so that nothing is brought meanwhile; the others hold `switch`. */
const STAGING: ReadonlySet<StepName> = new Set([...STAGE, "prune", "removable", "clear"]);

export type LockName = "stage" | "switch";

export function lockOf(step: StepName): LockName {
  return STAGING.has(step) ? "stage" : "switch";
}

/** Steps under the lock `switch` that leave alone what runs. */
const BESIDE: ReadonlySet<StepName> = new Set(["plan", "room", "forget"]);

/** Whether the step may stop or start the app. */
export function touchesTheApp(step: StepName): boolean {
  return lockOf(step) === "switch" && !BESIDE.has(step);
}

/**
 * Steps of a switch whose every trace is gone after a power cut: processes, mounts, what can be made again. That they
 * began need be on disk only before a step begins that leaves more; all others are on record before they begin.
 */
const PASSING: ReadonlySet<StepName> = new Set([
  ...(["plan", "room", "mount", "prove", "drain", "stop", "config", "flip", "signal", "judge", "ready"] as const),
]);

export function isPassing(step: StepName): boolean {
  return PASSING.has(step);
}

/** Whether undoing the step puts the data back: what is undone after it forgets its snapshot and starts the app on it. */
export function bringsDataBack(step: StepName): boolean {
  return step === "migrate" || step === "restore";
}

export function stepRule(step: StepName): StepRule {
  return STEPS[step];
}

/** A state machine as a table: per action the states it may start from and the one it leads to. */
export type Transitions<State extends string, Action extends string> = Record<
  Action,
  { from: readonly (State | "absent")[]; to: State | "absent" }
>;

export const SLOT_TRANSITIONS = {
  stage: { from: ["absent"], to: "staged" },
  try: { from: ["staged", "good"], to: "trial" },
  bless: { from: ["trial"], to: "good" },
  condemn: { from: ["trial"], to: "failed" },
  withdraw: { from: ["trial"], to: "staged" },
  reinstate: { from: ["trial"], to: "good" },
  release: { from: ["failed"], to: "staged" },
  collect: { from: ["staged", "good", "failed"], to: "absent" },
} as const satisfies Transitions<SlotState, string>;

export const GENERATION_TRANSITIONS = {
  try: { from: ["absent"], to: "trial" },
  bless: { from: ["trial"], to: "good" },
  condemn: { from: ["trial"], to: "failed" },
  withdraw: { from: ["trial"], to: "withdrawn" },
} as const satisfies Transitions<GenerationState, string>;

export const OPERATION_TRANSITIONS = {
  begin: { from: ["absent"], to: "running" },
  finish: { from: ["running"], to: "done" },
  revert: { from: ["running"], to: "reverting" },
  fail: { from: ["running", "reverting"], to: "failed" },
} as const satisfies Transitions<OperationState, string>;

export type SlotAction = keyof typeof SLOT_TRANSITIONS;
export type GenerationAction = keyof typeof GENERATION_TRANSITIONS;
export type OperationAction = keyof typeof OPERATION_TRANSITIONS;

/** Most step transitions one operation may make, restarts of hostd included; then it is reverted, then given up. */
export const TRANSITION_LIMIT = 120;
