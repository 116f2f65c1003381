import type { OperationState } from "../../manifests/node.ts";
import { type StepName, stepRule, touchesTheApp } from "../states.ts";

export interface Begun {
  name: StepName;
  started: boolean;
}

/** What becomes of an operation that a crash interrupted: the rule of the last step that was started decides. */
export function howToResolve(state: OperationState, steps: readonly Begun[]): "resume" | "undo" {
  if (state === "reverting") return "resume";
  const last = steps.findLast(({ started }) => started);
  if (last === undefined) return "resume";
  const rule = stepRule(last.name).afterCrash;
  return rule === "boot" ? "resume" : rule; // hostd/host/decide.ts has looked at what was booted
}

/** Whether the operation had begun to change what runs: then it, and not the start, brings the app up. */
export function holdsTheApp(steps: readonly Begun[]): boolean {
  return steps.some(({ name, started }) => started && touchesTheApp(name));
}
