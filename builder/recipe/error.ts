import { Failure } from "../../manifests/failure.ts";
import { LIMITS } from "./limits.ts";
import type { Problem, ProblemCode } from "./problem.ts";
import { renderProblem } from "./render.ts";

/** A recipe that cannot be built. Carries every problem found, in the order of the text; `code` is the first one's. */
export class RecipeError extends Failure {
  declare readonly code: ProblemCode;
  readonly problems: readonly Problem[];

  constructor(problems: readonly [Problem, ...Problem[]]) {
    const ordered = [...problems].sort(byPosition).slice(0, LIMITS.problems);
    const first = ordered[0] ?? problems[0];
    super("failed", first.code, render(ordered), { details: { problems: ordered.map(toJson) } });
    this.problems = ordered;
  }
}

function render(problems: readonly Problem[]): string {
  const shown = problems.slice(0, LIMITS.problems).map(renderProblem);
  if (problems.length === 1) return shown.join("");
  const count = problems.length < LIMITS.problems ? String(problems.length) : `the first ${LIMITS.problems}`;
  return [...shown, `${count} problems in ${problems[0]?.file}`].join("\n\n");
}

function toJson({ file, position, code, message, expected, suggestion, hint }: Problem) {
  return { file, ...position, code, message, expected, suggestion, hint };
}

function byPosition(a: Problem, b: Problem): number {
  return a.position.line - b.position.line || a.position.column - b.position.column;
}
