import type { Position } from "./recipe.ts";

export type ProblemCode =
  | "too-large"
  | "not-text"
  | "bad-directive"
  | "unknown-instruction"
  | "bad-syntax"
  | "bad-flag"
  | "bad-value"
  | "bad-json"
  | "bad-heredoc"
  | "bad-reference"
  | "bad-path"
  | "bad-section"
  | "duplicate"
  | "unknown-variable"
  | "not-supported"
  | "missing-from"
  | "suspicious";

/** One thing wrong with a recipe: where, what, what was expected. Holds all that is needed to show it. */
export interface Problem extends ProblemText {
  file: string;
  position: Position;
  /** The physical line, for the caret. */
  source: string;
  /** Characters to underline from `position.column`, at least 1. */
  length: number;
}

export interface ProblemText {
  code: ProblemCode;
  /** Lower case, no full stop: `unknown instruction "RUNX"`. */
  message: string;
  /** `expected ...` without the word. */
  expected?: string | undefined;
  /** `did you mean ...?` without the words. */
  suggestion?: string | undefined;
  /** What to do instead. */
  hint?: string | undefined;
}

/** Leaves the reading of one instruction; the parser collects the problems and goes on with the next one. */
export class ProblemFound extends Error {
  readonly problems: Problem[];
  constructor(...problems: Problem[]) {
    super(problems.map((problem) => problem.message).join("; "));
    this.problems = problems;
  }
}

/** Runs `read`; problems it leaves with go to `problems` and the answer is undefined. */
export function collecting<T>(problems: Problem[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ProblemFound)) throw error;
    problems.push(...error.problems);
    return undefined;
  }
}

/** A text of the recipe as messages quote it: short, and harmless on a terminal. */
export function quote(text: string): string {
  const short = [...text].length > 60 ? `${[...text].slice(0, 57).join("")}...` : text;
  return JSON.stringify(short);
}
