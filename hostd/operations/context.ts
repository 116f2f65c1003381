import type { App } from "../../manifests/app.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import type { GenerationRow } from "../journal/generations.ts";
import type { OperationRow } from "../journal/operations.ts";
import type { SlotRow } from "../journal/slots.ts";
import type { GapMeter } from "../switch/gap.ts";
import { requireApp, type SwitchPlan } from "../switch/plan.ts";
import { type Plan, parsePlan } from "./plan.ts";

/** Detail of a step that leaves nothing to do for those after it: the operation is done. */
export const END = "nothing left to do";

/** One operation under way, as its steps see it. */
export interface Context {
  readonly engine: Engine;
  readonly id: number;
  readonly app: string;
  readonly kind: OperationRow["kind"];
  /** Aborted when hostd ends or somebody aborts the operation; on the way back, which nobody aborts, when hostd ends. */
  signal: AbortSignal;
  plan: Plan;
  /** Measures how long the app took no connection; it does not outlive hostd. */
  gap: GapMeter | undefined;
  /** Whether the version that is to be left was sick when the switch began; not known after a restart of hostd. */
  wasSick: boolean;
  /** Code of the failure that is being undone. */
  failure: string | undefined;
  /** Whether the step under way leaves nothing that outlives a power cut (hostd/states.ts). */
  passing: boolean;
  /** Changes the journal on behalf of the step under way; where that is passing, on disk with the next lasting step. */
  record(work: () => void): void;
  /** Writes the plan to the journal: what a step decided is never decided again. */
  savePlan(change: Partial<Plan>): void;
  /** Says what was decided or left, for the history. */
  note(text: string): void;
  report(text: string, fraction?: number): void;
}

export function openContext(engine: Engine, operation: OperationRow, signal: AbortSignal): Context {
  const context: Context = {
    engine,
    id: operation.id,
    app: operation.app,
    kind: operation.kind,
    signal,
    plan: parsePlan(operation.plan, operation.id),
    gap: undefined,
    wasSick: false,
    passing: false,
    record: (work) => (context.passing ? engine.journal.later(work) : engine.journal.transaction(work)),
    failure: operation.reason?.code,
    savePlan(change) {
      context.plan = { ...context.plan, ...change };
      context.record(() => engine.journal.operations.setPlan(operation.id, context.plan));
    },
    note: (text) => context.record(() => engine.journal.operations.note(operation.id, text)),
    report(text, fraction) {
      engine.board.setProgress(operation.id, { text, ...(fraction === undefined ? {} : { fraction }) });
      engine.board.changed(operation.id);
    },
  };
  return context;
}

export function switchOf(context: Context): SwitchPlan {
  if (context.plan.switch !== undefined) return context.plan.switch;
  throw new HostdError("journal", `operation ${context.id}: expected a planned switch, got none`);
}

/** A generation with the slot it runs and what that image declares. */
export interface Launchable {
  generation: GenerationRow;
  slot: SlotRow;
  app: App;
}

export function launchable(engine: Engine, app: string, number: number): Launchable {
  const generation = engine.journal.generations.require(app, number);
  const slot = engine.journal.slots.require(app, generation.image);
  return { generation, slot, app: requireApp(slot) };
}
