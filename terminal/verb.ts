import type { Progress } from "./progress.ts";

/** A command declared as data: help, parsing, docs and tests are all made from it. */
export interface Verb {
  /** Words after the program's name: `keys init`. */
  name: string;
  summary: string;
  /** `<required>`, `[optional]`, `<many...>`, as help shows them. */
  arguments?: readonly ArgumentSpec[];
  options?: readonly OptionSpec[];
  examples?: readonly string[];
  run(invocation: Invocation): Promise<Answer>;
}

export interface ArgumentSpec {
  name: string;
  summary: string;
}

export interface OptionSpec {
  /** `--store <dir>`, `--update`, `--set <key=value...>`. */
  flags: string;
  summary: string;
  default?: string;
  choices?: readonly string[];
}

export interface Invocation {
  arguments: readonly (string | string[] | undefined)[];
  /** Options by camel-case name; absent ones are undefined. */
  options: Readonly<Record<string, unknown>>;
  progress: Progress;
  /** True where `--json` itself was given; a verb that streams needs to know. */
  json: boolean;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
}

/** What a verb answers: `json` is what `--json` prints, `text` is made from the same value for people. */
export interface Answer {
  json: unknown;
  text: string;
  /** 0 unless said otherwise: a revert, a red mark and a refusal are not 0. */
  exitCode?: number;
  /** The verb wrote its output while it went: nothing is printed at the end. */
  streamed?: true;
}
