import { type FailureDocument, toFailureDocument } from "../../manifests/failure.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { faultPoint } from "../fault.ts";
import type { OperationRow, StepRow } from "../journal/operations.ts";
import { judgeAfterwards } from "../rollback/afterwards.ts";
import { keepFailure } from "../rollback/bundle.ts";
import { bringsDataBack, isPassing, isUpgrade, lockOf, type StepName, stepRule, TRANSITION_LIMIT } from "../states.ts";
import { type Context, END, openContext } from "./context.ts";
import type { Executor } from "./executors.ts";
import { MOST_RETURNS, mustGiveUp, recordGivenUp, stopGivenUp } from "./give-up.ts";

/** Kinds that never touch what runs: the watch goes on beside them. */
const STAGES_ONLY: ReadonlySet<string> = new Set(["stage", "prune", "forget"]);

/** How often what could not be undone is tried again, and the pauses between, milliseconds. */
const UNDO_PASSES = 10;
const UNDO_PAUSE = 500;
const LONGEST_PAUSE = 30_000;

/**
 * Runs an operation from where its journal says it is to its one end. Before a step its start is on disk, after it its
 * end; a failure undoes, in reverse, all that was started. When hostd is asked to end, the operation stays as it is.
 */
export async function runOperation(engine: Engine, id: number, signal: AbortSignal): Promise<void> {
  await withContext(engine, id, signal, async (context, { state, reason }) => {
    try {
      if (state === "reverting") return await goBack(context, reason ?? interrupted());
      await goForward(context);
    } catch (error) {
      if (engine.closing.aborted) return;
      return await goBack(context, toFailureDocument(error));
    }
    followAll(context);
  });
}

/** Takes back an operation that a crash interrupted at a step whose rule is `undo`. */
export async function undoOperation(
  engine: Engine,
  id: number,
  signal: AbortSignal,
  reason = interrupted(),
): Promise<void> {
  await withContext(engine, id, signal, (context) => goBack(context, reason));
}

/** Whatever becomes of the operation: its end is told, and what it held of hostd is given back. */
async function withContext(
  engine: Engine,
  id: number,
  signal: AbortSignal,
  work: (context: Context, operation: OperationRow) => Promise<void>,
): Promise<void> {
  const operation = engine.journal.operations.require(id);
  const context = openContext(engine, operation, signal);
  try {
    await work(context, operation);
  } finally {
    tellEnd(context);
    engine.board.ended(id);
    await engine.ballast.hold();
    await context.gap?.end(); // nobody told it: an app that did not come back would be knocked at for ever
  }
}

/** In the log stands how far it came, also where the machine went down with the journal's last lines. */
function tell({ engine, id, app, kind }: Context, what: string): void {
  engine.log("info", `operation ${what}`, { operation: id, app, kind });
}

function tellEnd(context: Context): void {
  const state = context.engine.journal.operations.get(context.id)?.state;
  if (state === "done" || state === "failed") tell(context, `is ${state}`);
}

/**
 * The end of a step and the start of the next are one write, on disk before the next one does anything that outlives a
 * power cut.
 */
async function goForward(context: Context): Promise<void> {
  const { operations } = context.engine.journal;
  const steps = operations.steps(context.id);
  let ended = () => {};
  for (const step of steps) {
    if (step.document.done !== undefined) continue;
    beginStep(context, step, ended);
    tell(context, `begins ${step.name}`);
    context.report(stepRule(step.name).does);
    faultPoint(`${context.kind}.${step.name}.before`);
    const result = await (await executor(step.name)).run(context);
    faultPoint(`${context.kind}.${step.name}.after`);
    const detail = typeof result === "string" ? result : undefined;
    ended = () => operations.mark(context.id, step.position, "done", detail);
    if (detail === END) break;
  }
  await close(context, ended);
}

function beginStep(context: Context, step: StepRow, ended: () => void): void {
  const { journal } = context.engine;
  context.passing = isPassing(step.name);
  try {
    context.signal.throwIfAborted();
    context.record(() => {
      ended();
      refuseEndless(context, TRANSITION_LIMIT);
      journal.operations.lock(context.id, lockOf(step.name));
      journal.operations.mark(context.id, step.position, "started");
    });
  } catch (error) {
    ended(); // the step before is done, whatever hinders this one
    throw error;
  }
}

/** Whoever began it may have left the app to it. */
function followAgain({ engine, kind, app }: Context): void {
  if (!STAGES_ONLY.has(kind)) engine.watch.follow(app);
}

/** After an end: what hinders a watch takes nothing back. */
function followAll(context: Context): void {
  const { journal, watch } = context.engine;
  followAgain(context);
  if (isUpgrade(context.kind)) for (const { app } of journal.apps.list()) watch.follow(app);
}

/** All is done: that it cannot be written down yet is no reason to take it back. */
async function close(context: Context, done: () => void): Promise<void> {
  const { journal } = context.engine;
  context.passing = false;
  await insist(context, () =>
    journal.transaction(() => {
      done();
      journal.operations.finish(context.id);
    }),
  );
}

/**
 * Takes back all that was started, last first. The app comes before the record of it: where the journal cannot be
 * written, the undo goes on, and what is not recorded as undone is undone again, which changes nothing, until it is.
 * Data that does not come back stops the pass: its snapshot is kept, and nothing is started on what a migration left.
 */
async function goBack(context: Context, reason: FailureDocument): Promise<void> {
  const { journal, log, closing } = context.engine;
  context.passing = false;
  context.failure = reason.code;
  context.signal = closing;
  if (mustGiveUp(context)) return await giveUp(context, reason, `hostd ended ${MOST_RETURNS} times while it tried`);
  if (begunSteps(context).length === 0) {
    await insist(context, () => journal.operations.fail(context.id, { reason, reverted: false }));
    return followAgain(context);
  }
  await context.engine.ballast.drop(); // what is written on the way back comes first
  await keepFailure(context, reason);
  const running = () => journal.operations.get(context.id)?.state === "running";
  await insist(context, () => running() && journal.operations.revert(context.id, reason), 1);
  let lost: FailureDocument | undefined;
  for (let pass = 1; pass <= UNDO_PASSES && !closing.aborted; pass++) {
    lost = undefined;
    for (const step of begunSteps(context).reverse()) {
      const failure = step.document.undone === undefined ? await undoStep(context, step) : undefined;
      if (closing.aborted) return;
      if (bringsDataBack(step.name)) lost = failure;
      if (lost !== undefined) break;
    }
    if (begunSteps(context).every(({ document }) => document.undone !== undefined)) break;
    log("error", "not all could be undone", { operation: context.id, pass });
    await context.engine.clock.sleep(UNDO_PAUSE * pass, closing);
  }
  if (closing.aborted) return;
  const left = begunSteps(context).filter(({ document }) => document.undone === undefined);
  await insist(context, () => running() && journal.operations.revert(context.id, reason));
  if (lost !== undefined) return await giveUp(context, reason, `its data did not come back: ${lost.message}`);
  if (left.length > 0) {
    await insist(context, () => context.note(`could not undo ${left.map(({ name }) => name).join(", ")}`));
  }
  await judgeAfterwards(context).catch((error: unknown) => {
    log("error", "not judged after the revert", { operation: context.id, ...toFailureDocument(error) });
  });
  if (closing.aborted) return;
  await keepFailure(context, reason);
  await insist(context, () => journal.operations.fail(context.id, { reason, reverted: left.length === 0 }));
  context.engine.watch.follow(context.app);
}

async function giveUp(context: Context, reason: FailureDocument, why: string): Promise<void> {
  await insist(context, () => recordGivenUp(context, reason, why));
  if (!context.engine.closing.aborted) await stopGivenUp(context);
}

/** Loaded with the first operation: an idle hostd does without. */
async function executor(step: StepName): Promise<Executor> {
  const { EXECUTORS } = await import("./executors.ts");
  return EXECUTORS[step];
}

function begunSteps(context: Context): StepRow[] {
  return context.engine.journal.operations
    .steps(context.id)
    .filter(({ name, document }) => stepRule(name).undo !== undefined && document.started !== undefined);
}

/** One undo and its record; answers why it is not undone. A failure is told and left for the next pass. */
async function undoStep(context: Context, step: StepRow): Promise<FailureDocument | undefined> {
  const { journal, log } = context.engine;
  tell(context, `undoes ${step.name}`);
  context.report(`undo ${step.name}: ${stepRule(step.name).undo}`);
  faultPoint(`${context.kind}.${step.name}.undo.before`);
  let isUndone = false;
  try {
    await (await executor(step.name)).undo?.(context);
    isUndone = true;
    faultPoint(`${context.kind}.${step.name}.undo.after`);
    journal.operations.mark(context.id, step.position, "undone");
    return undefined;
  } catch (error) {
    const failure = toFailureDocument(error);
    if (context.engine.closing.aborted) return failure;
    log("error", `undo of ${step.name} failed`, { operation: context.id, ...failure });
    await context.engine.ballast.drop();
    return isUndone ? undefined : failure;
  }
}

/** Tries to write the journal again and again, longer each time: a disk that is full now may have room later. */
async function insist(context: Context, write: () => unknown, attempts = Number.POSITIVE_INFINITY): Promise<void> {
  for (let attempt = 1; !context.engine.closing.aborted; attempt++) {
    try {
      write();
      return;
    } catch (error) {
      if (error instanceof HostdError) throw error;
      context.engine.log("error", "journal not written", { operation: context.id, ...toFailureDocument(error) });
      await context.engine.ballast.drop();
      if (attempt >= attempts) return;
      await context.engine.clock.sleep(Math.min(LONGEST_PAUSE, UNDO_PAUSE * attempt), context.engine.closing);
    }
  }
}

function refuseEndless(context: Context, limit: number): void {
  const made = context.engine.journal.operations.get(context.id)?.transitions ?? 0;
  if (made <= limit) return;
  throw new HostdError("too-many-transitions", `operation ${context.id}: expected at most ${limit} transitions`);
}

function interrupted(): FailureDocument {
  return toFailureDocument(
    new HostdError("interrupted", "hostd ended in the middle of it; what was begun is undone", {
      hint: "run the same command again",
    }),
  );
}
