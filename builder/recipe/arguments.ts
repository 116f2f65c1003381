import { nearest } from "../../terminal/nearest.ts";
import { type Draft, expandSpan } from "./draft.ts";
import { type JsonArray, readJsonArray } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { collecting, type Problem, ProblemFound, type ProblemText, quote } from "./problem.ts";
import { fail, type Instruction } from "./split.ts";
import { checkCount, nextWord, type Span, skipRemarks } from "./words.ts";

/** A word of an instruction: where it stands, and its value once substituted. */
export interface Argument extends Span {
  value: string;
}

/** `value`: `--name=VALUE`. `switch`: `--name`. `raw`: like value, but its reader substitutes it piece by piece. */
interface FlagSpec {
  kind: "value" | "switch" | "raw";
  many?: true;
}

export type Flags = ReadonlyMap<string, readonly Argument[]>;
export type FlagSpecs = Readonly<Record<string, FlagSpec>>;

export interface Arguments {
  flags: Flags;
  words: Argument[];
  array: JsonArray | undefined;
}

/** The flags right after the instruction's word (or from `at` on), and the place after them. */
export function readFlags(instruction: Instruction, draft: Draft, specs: FlagSpecs, at = instruction.rest) {
  const flags = new Map<string, Argument[]>();
  const problems: Problem[] = [];
  const { text } = instruction.line;
  let next = skipBlanks(text, at);
  while (text.startsWith("--", next) && problems.length < LIMITS.problems) {
    const word = nextWord(instruction.line, next, instruction.escape) ?? { start: next, end: next + 2 };
    next = skipBlanks(text, word.end);
    if (word.end - word.start === 2) break;
    collecting(problems, () => addFlag(instruction, draft, specs, flags, word));
  }
  if (problems.length > 0) throw new ProblemFound(...problems);
  return { flags, rest: next };
}

/** Flags and words in any order, and one JSON array where `json` allows it instead of words. */
export function readArguments(
  instruction: Instruction,
  draft: Draft,
  specs: FlagSpecs,
  options: { json?: boolean } = {},
): Arguments {
  const { line } = instruction;
  const flags = new Map<string, Argument[]>();
  const problems: Problem[] = [];
  const words: Argument[] = [];
  let array: JsonArray | undefined;
  let next = skipRemarks(line, instruction.rest);
  while (next < line.text.length && problems.length < LIMITS.problems) {
    if (options.json && line.text[next] === "[" && array === undefined) {
      array = readJsonArray(line, next);
      next = skipRemarks(line, array.end);
      continue;
    }
    const word = nextWord(line, next, instruction.escape);
    if (word === undefined) break;
    collecting(problems, () => {
      if (line.text.startsWith("--", word.start)) addFlag(instruction, draft, specs, flags, word);
      else words.push({ ...word, value: expandSpan(draft, instruction, word) });
    });
    checkCount(line, word, words.length);
    next = skipRemarks(line, word.end);
  }
  if (problems.length > 0) throw new ProblemFound(...problems);
  return { flags, words, array };
}

/** The one value of a flag, if it was given. */
export function flag(flags: Flags, name: string): Argument | undefined {
  return flags.get(name)?.[0];
}

/** The only word of an instruction. */
export function onlyWord(instruction: Instruction, words: readonly Argument[], what: string): Argument {
  const [word, second] = words;
  if (word === undefined) return missing(instruction, what);
  if (second !== undefined) {
    const message = `${instruction.keyword} takes one word`;
    const hint = "put quotes around a value with blanks";
    return fail(instruction, second.start, second.end, { code: "bad-syntax", message, expected: what, hint });
  }
  return word;
}

/** Leaves with "something is missing", pointing after the last character. */
export function missing(instruction: Instruction, expected: string): never {
  const end = instruction.line.text.trimEnd().length;
  const message = `${instruction.keyword} is not complete`;
  return fail(instruction, end, end, { code: "bad-syntax", message, expected });
}

export function badValue(
  instruction: Instruction,
  at: Span,
  message: string,
  more: Omit<ProblemText, "code" | "message"> = {},
): never {
  return fail(instruction, at.start, at.end, { code: "bad-value", message, ...more });
}

export function skipBlanks(text: string, at: number): number {
  let next = at;
  while (text[next] === " " || text[next] === "\t") next++;
  return next;
}

function addFlag(
  instruction: Instruction,
  draft: Draft,
  specs: FlagSpecs,
  flags: Map<string, Argument[]>,
  word: Span,
): void {
  const raw = instruction.line.text.slice(word.start, word.end);
  const equals = raw.indexOf("=");
  const name = raw.slice(2, equals < 0 ? undefined : equals);
  const nameEnd = word.start + 2 + name.length;
  const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
  if (spec === undefined) unknownFlag(instruction, specs, name, { start: word.start, end: nameEnd });
  const before = flags.get(name);
  if (before !== undefined && spec.many === undefined) {
    const message = `flag --${name} given twice`;
    fail(instruction, word.start, word.end, { code: "duplicate", message });
  }
  if (spec.kind !== "switch" && equals < 0) {
    const message = `flag --${name} needs a value`;
    fail(instruction, word.start, word.end, { code: "bad-flag", message, expected: `--${name}=VALUE` });
  }
  const span = equals < 0 ? word : { start: nameEnd + 1, end: word.end };
  const value = spec.kind === "raw" || equals < 0 ? "" : expandSpan(draft, instruction, span);
  if (spec.kind === "switch" && equals >= 0 && value !== "true" && value !== "false") {
    fail(instruction, span.start, span.end, {
      code: "bad-flag",
      message: `flag --${name} takes no value`,
      expected: `--${name}`,
    });
  }
  if (spec.kind === "switch" && value === "false") return;
  if (before === undefined) flags.set(name, [{ ...span, value }]);
  else before.push({ ...span, value });
}

function unknownFlag(instruction: Instruction, specs: FlagSpecs, name: string, at: Span): never {
  const names = Object.keys(specs);
  const found = nearest(name, names);
  return fail(instruction, at.start, at.end, {
    code: "bad-flag",
    message: `unknown flag ${quote(`--${name}`)} of ${instruction.keyword}`,
    expected: names.length === 0 ? "no flags" : names.map((known) => `--${known}`).join(", "),
    suggestion: found === undefined ? undefined : `--${found}`,
  });
}
