import type { Engine } from "../engine.ts";
import type { OperationRow } from "../journal/operations.ts";
import { isAtFault } from "./decide.ts";

/** Operations that say nothing about what runs. */
export const BESIDE: ReadonlySet<string> = new Set(["stage", "prune", "snapshot", "forget"]);

/** Pauses before a restart that was hindered is tried again, milliseconds: twice as long each time. */
const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 5 * 60_000;

/** The last operations of an app that are looked at. */
const LOOKED_AT = 20;

/** Restarts that failed one after the other, the last thing that was done to an app. */
export interface Hindered {
  reason: string;
  count: number;
  /** Whether hostd itself tried the last of them. */
  byHostd: boolean;
}

/**
 * Why an app could not be started again where that is nobody's fault but the node's: a program that is missing, a key, a
 * damaged layer. It may go by itself, so nothing is stopped or held for it.
 */
export function hinderedRestarts({ journal }: Engine, app: string): Hindered | undefined {
  const isTry = ({ kind, state }: OperationRow) => kind === "restart" && state === "running"; // its end says more
  const said = journal.operations
    .list({ app, limit: LOOKED_AT })
    .filter((operation) => !BESIDE.has(operation.kind) && !isTry(operation));
  const end = said.findIndex((operation) => !isHindered(operation));
  const [newest] = said;
  if (newest?.reason === undefined || end === 0) return undefined;
  const count = end === -1 ? said.length : end;
  return { reason: newest.reason.message, count, byHostd: newest.caller === "hostd" };
}

function isHindered({ kind, state, reason }: OperationRow): boolean {
  return kind === "restart" && state === "failed" && reason?.code !== "aborted" && !isAtFault(reason?.code);
}

/** How long a sick app is left alone before its restart is tried again, milliseconds. */
export function pauseAfter(count: number): number {
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (count - 1));
}
