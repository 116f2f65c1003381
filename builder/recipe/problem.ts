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
export interface Problem {
  code: ProblemCode;
  /** Lower case, no full stop: `unknown instruction "RUNX"`. */
  message: string;
  file: string;
  position: Position;
  /** The physical line, for the caret. */
  source: string;
  /** Characters to underline from `position.column`, at least 1. */
  length: number;
  /** `expected ...` without the word. */
  expected?: string;
  /** `did you mean ...?` without the words. */
  suggestion?: string;
  /** What to do instead. */
  hint?: string;
}
