import { type FailureDocument, toFailureDocument } from "../../manifests/failure.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { faultPoint } from "../fault.ts";
import type { StepRow } from "../journal/operations.ts";
import { judgeAfterwards } from "../rollback/afterwards.ts";
import { keepFailure } from "../rollback/bundle.ts";
import { lockOf, stepRule, TRANSITION_LIMIT } from "../states.ts";
import { type Context, END, openContext } from "./context.ts";
import { EXECUTORS } from "./executors.ts";

/** Kinds that never touch what runs: the watch goes on beside them. */
const STAGES_ONLY: ReadonlySet<string> = new Set(["stage"]);

const UNDO_ATTEMPTS = 3;
const UNDO_PAUSE = 250;

/**
 * Runs an operation from where its journal says it is to its one end. Before a step its start is on disk, after it its
 * end; a failure undoes, in reverse, all that was started. When hostd is asked to end, the operation stays as it is.
 */
export async function runOperation(engine: Engine, id: number, signal: AbortSignal): Promise<void> {
  const operation = engine.journal.operations.get(id);
  if (operation === undefined) throw new HostdError("unknown-operation", `no operation ${id}`);
  const context = openContext(engine, operation, signal);
  try {
    if (operation.state === "reverting") return await goBack(context, operation.reason ?? interrupted());
    await goForward(context);
  } catch (error) {
    if (engine.closing.aborted) return;
    await goBack(context, toFailureDocument(error));
  } finally {
    engine.board.changed(id);
  }
}

/** Takes back an operation that a crash interrupted at a step whose rule is `undo`. */
export async function undoOperation(engine: Engine, id: number, signal: AbortSignal): Promise<void> {
  const operation = engine.journal.operations.get(id);
  if (operation === undefined) throw new HostdError("unknown-operation", `no operation ${id}`);
  await goBack(openContext(engine, operation, signal), interrupted());
  engine.board.changed(id);
}

async function goForward(context: Context): Promise<void> {
  const { operations } = context.engine.journal;
  for (const step of operations.steps(context.id)) {
    if (step.document.done !== undefined) continue;
    refuseEndless(context, TRANSITION_LIMIT);
    context.signal.throwIfAborted();
    operations.lock(context.id, lockOf(step.name));
    operations.mark(context.id, step.position, "started");
    context.report(stepRule(step.name).does);
    faultPoint(`${context.kind}.${step.name}.before`);
    const detail = await EXECUTORS[step.name].run(context);
    faultPoint(`${context.kind}.${step.name}.after`);
    operations.mark(context.id, step.position, "done", typeof detail === "string" ? detail : undefined);
    if (detail === END) break;
  }
  operations.finish(context.id);
  if (!STAGES_ONLY.has(context.kind)) context.engine.watch.follow(context.app);
}

async function goBack(context: Context, reason: FailureDocument): Promise<void> {
  const { journal } = context.engine;
  context.failure = reason.code;
  const begun = journal.operations
    .steps(context.id)
    .filter(({ name, document }) => stepRule(name).undo !== undefined && document.started !== undefined);
  if (begun.length === 0) return journal.operations.fail(context.id, { reason, reverted: false });
  if (journal.operations.get(context.id)?.state === "running") {
    await keepFailure(context, reason);
    journal.operations.revert(context.id, reason);
  }
  for (const step of begun.reverse()) {
    if (step.document.undone === undefined) await undoStep(context, step);
    if (context.engine.closing.aborted) return;
  }
  await judgeAfterwards(context);
  if (context.engine.closing.aborted) return;
  await keepFailure(context, reason);
  journal.operations.fail(context.id, { reason, reverted: true });
  context.engine.watch.follow(context.app);
}

async function undoStep(context: Context, step: StepRow): Promise<void> {
  const { operations } = context.engine.journal;
  context.report(`undo ${step.name}: ${stepRule(step.name).undo}`);
  faultPoint(`${context.kind}.${step.name}.undo.before`);
  await withRetries(context, step.name, async () => EXECUTORS[step.name].undo?.(context));
  faultPoint(`${context.kind}.${step.name}.undo.after`);
  operations.mark(context.id, step.position, "undone");
}

/** An undo that keeps failing is noted and passed over: the steps before it must still be taken back. */
async function withRetries(context: Context, name: string, work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const { message } = toFailureDocument(error);
      context.engine.log("error", `undo of ${name} failed`, { operation: context.id, attempt, error: message });
      if (attempt >= UNDO_ATTEMPTS) return context.note(`could not undo ${name}: ${message}`);
      await context.engine.clock.sleep(UNDO_PAUSE * attempt);
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
