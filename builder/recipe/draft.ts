import type { Health } from "../../manifests/app.ts";
import { nearest } from "../../terminal/nearest.ts";
import { type ExpandMode, expand, type Variables } from "./expand.ts";
import { LIMITS } from "./limits.ts";
import type { Problem, ProblemText } from "./problem.ts";
import { collecting, ProblemFound, quote } from "./problem.ts";
import type { AppDeclarations, DeploySection, From, ParseOptions, Section, Step } from "./recipe.ts";
import { environmentOf, openScope, type Scope } from "./scope.ts";
import { type Mapped, positionAt, problemAt } from "./source.ts";
import type { Instruction } from "./split.ts";
import { type Span, splitWords } from "./words.ts";

/** A recipe while its instructions are read, top to bottom. */
export interface Draft {
  options: ParseOptions;
  problems: Problem[];
  warnings: Problem[];
  phase: "preamble" | Section;
  /** An instruction other than FROM, ARG and BOOTSTRAP was read. */
  began: boolean;
  /** The BOOTSTRAP header. */
  header: Instruction | undefined;
  /** The instruction that names the base; `base` is undefined where its reference is bad. */
  from: Instruction | undefined;
  base: Base | undefined;
  bootstrap: Step[];
  deploy: DeploySection | undefined;
  scope: Scope;
  /** Every ARG so far, by name. */
  args: Map<string, string | undefined>;
  /** ARGs above the first FROM: FROM sees these alone. */
  preambleArgs: Map<string, string | undefined>;
  image: Declarations;
  /** Instructions that filled `image` in BOOTSTRAP, for DEPLOY FROM, which starts again. */
  declared: Instruction[];
  /** Instructions below cannot be understood: a second stage began. */
  stopped: boolean;
  work: { spent: number };
}

interface Base {
  from: From;
  /** `FROM x AS alias`: another word for bootstrap. */
  alias: string | undefined;
}

/** What is not in the scope: the scope's part is added when the recipe is finished. */
export type Declarations = Omit<AppDeclarations, "env" | "workdir" | "user" | "labels" | "expose" | "ofApp"> & {
  labels: Map<string, string>;
  expose: Set<string>;
  /** The last HEALTHCHECK; HEALTHs stand in `health`. */
  healthcheck: Health | undefined;
};

/** `strict`: a name that is not set is a problem. `lenient`: it is empty, with a warning (ENV, ARG, LABEL). */
export type Strictness = "strict" | "lenient";

export function openDraft(options: ParseOptions): Draft {
  return {
    options,
    problems: [],
    warnings: [],
    phase: "preamble",
    began: false,
    header: undefined,
    from: undefined,
    base: undefined,
    bootstrap: [],
    deploy: undefined,
    scope: openScope(undefined, undefined),
    args: new Map(),
    preambleArgs: new Map(),
    image: noDeclarations(),
    declared: [],
    stopped: false,
    work: { spent: 0 },
  };
}

export function noDeclarations(): Declarations {
  return {
    labels: new Map(),
    entrypoint: undefined,
    cmd: undefined,
    expose: new Set(),
    stopSignal: undefined,
    stopTimeout: undefined,
    healthcheck: undefined,
    listen: [],
    health: [],
    data: [],
    config: [],
    boot: undefined,
    hooks: {},
    switch: undefined,
    job: undefined,
    limits: {},
    tests: [],
  };
}

type StepBody = Step extends infer S ? (S extends Step ? Omit<S, keyof StepPlace> : never) : never;
type StepPlace = Pick<Step, "section" | "text" | "position" | "lastLine" | "env" | "workdir" | "user">;

/** Adds a step with the environment, directory and user that hold where its instruction stands. */
export function addStep(draft: Draft, instruction: Instruction, body: StepBody): void {
  const section = sectionOf(draft);
  const place: StepPlace = {
    section,
    text: body.kind === "run" ? textOf(instruction) : wordsOf(instruction),
    position: positionAt(instruction.line, instruction.start),
    lastLine: instruction.lastLine,
    env: environmentOf(draft.scope),
    workdir: draft.scope.workdir,
    user: draft.scope.user,
  };
  const steps = draft.deploy?.steps ?? draft.bootstrap;
  steps.push({ ...body, ...place } as Step);
}

export function sectionOf(draft: Draft): Section {
  return draft.phase === "deploy" ? "deploy" : "bootstrap";
}

/** The instruction on one line, as progress shows it: a shell's text as it is, other words without comments. */
export function textOf(instruction: Instruction, end = instruction.line.text.length): string {
  const { line, rest, keyword } = instruction;
  return `${keyword} ${line.text.slice(rest, end).trim().replace(/\s+/g, " ")}`.trimEnd();
}

function wordsOf(instruction: Instruction): string {
  const words = collecting([], () => splitWords(instruction.line, instruction.rest, instruction.escape));
  if (words === undefined) return textOf(instruction);
  return [instruction.keyword, ...words.map(({ start, end }) => instruction.line.text.slice(start, end))].join(" ");
}

export function warn(draft: Draft, instruction: Instruction, span: Span, text: ProblemText): void {
  if (draft.warnings.length >= LIMITS.problems) return;
  draft.warnings.push(problemAt(instruction.line, span.start, span.end, text));
}

/** The span of an instruction's own word. */
export function keywordSpan(instruction: Instruction): Span {
  return { start: instruction.start, end: instruction.start + instruction.word.length };
}

/** The value of a span of an instruction: variables substituted, quotes and escapes gone. */
export function expandSpan(
  draft: Draft,
  instruction: Instruction,
  span: Span,
  strictness: Strictness = "strict",
): string {
  return expandText(draft, instruction.line, span, instruction.escape, strictness, "word");
}

export function expandText(
  draft: Draft,
  line: Mapped,
  span: Span,
  escaper: string,
  strictness: Strictness,
  mode: ExpandMode,
): string {
  const { scope } = draft;
  const variables: Variables = {
    escape: escaper,
    work: draft.work,
    lookup: (name) => scope.env.get(name) ?? scope.args.get(name),
    missing(name, where, at) {
      if (scope.open || scope.args.has(name)) return "";
      if (strictness === "lenient" && draft.warnings.length >= LIMITS.problems) return "";
      const problem = problemAt(where, at.start, at.end, unknownVariable(draft, name, mode));
      if (strictness === "strict") throw new ProblemFound(problem);
      draft.warnings.push({ ...problem, code: "suspicious", message: `${problem.message}, it becomes empty` });
      return "";
    },
  };
  return expand(line, span, variables, mode);
}

/** FROM sees only the ARGs above the first FROM, and in DEPLOY FROM those of BOOTSTRAP too. */
export function expandFrom(draft: Draft, instruction: Instruction, span: Span): string {
  const args = new Map([...draft.preambleArgs, ...draft.scope.args]);
  const variables: Variables = {
    escape: instruction.escape,
    work: draft.work,
    lookup: (name) => args.get(name),
    missing(name, where, at) {
      const declared = args.has(name);
      const text: ProblemText = {
        code: "unknown-variable",
        message: declared ? `ARG ${quote(name)} has no value` : `unknown variable ${quote(name)}`,
        expected: declared ? "a default, or a value given to the build" : "an ARG above FROM",
        suggestion: declared ? undefined : suggestVariable(name, args.keys()),
      };
      throw new ProblemFound(problemAt(where, at.start, at.end, text));
    },
  };
  return expand(instruction.line, span, variables);
}

function unknownVariable(draft: Draft, name: string, mode: ExpandMode): ProblemText {
  const quoted = "quote the heredoc's delimiter to keep $ as it is";
  const again = `write "ARG ${name}" again in this section: an ARG ends where the next FROM starts`;
  return {
    code: "unknown-variable",
    message: `unknown variable ${quote(name)}`,
    expected: "an ARG or ENV above",
    suggestion: suggestVariable(name, [...draft.scope.env.keys(), ...draft.scope.args.keys()]),
    hint: draft.args.has(name) ? again : mode === "heredoc" ? quoted : undefined,
  };
}

function suggestVariable(name: string, names: Iterable<string>): string | undefined {
  const found = nearest(name, names);
  return found === undefined ? undefined : `$${found}`;
}
