import { pointAt } from "../../terminal/excerpt.ts";
import type { Problem } from "./problem.ts";

/** A problem as people read it: where it is, the line with carets under the exact word, then what was expected. */
export function renderProblem(problem: Problem): string {
  const { file, position, length, source } = problem;
  const rows = pointAt({ file, ...position, length, source }, problem.message);
  if (problem.expected !== undefined) rows.push(`  expected ${problem.expected}`);
  if (problem.suggestion !== undefined) rows.push(`  did you mean ${problem.suggestion}?`);
  if (problem.hint !== undefined) rows.push(`  hint: ${problem.hint}`);
  return rows.join("\n");
}
