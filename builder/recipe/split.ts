import { readDirectives } from "./directives.ts";
import { findHeredocs, type Heredoc, takeHeredocs } from "./heredoc.ts";
import { LIMITS } from "./limits.ts";
import { collecting, type Problem, ProblemFound } from "./problem.ts";
import { type Mapped, mapLine, problemAt, type Source } from "./source.ts";

/** One instruction: its lines joined into one, and the heredocs below it. */
export interface Instruction {
  /** Upper case. */
  keyword: string;
  /** As written. */
  word: string;
  line: Mapped;
  /** Where the word starts in `line`, and where what follows it starts (`line.text.length` when nothing does). */
  start: number;
  rest: number;
  heredocs: Heredoc[];
  escape: string;
  firstLine: number;
  lastLine: number;
}

export interface Split {
  instructions: Instruction[];
  problems: Problem[];
  warnings: Problem[];
}

interface Joined {
  line: Mapped;
  /** First line below (from 0). */
  next: number;
}

/**
 * Cuts a source into instructions: comments go, continued lines are joined, heredocs are taken along. A heredoc without
 * an end stops it: what follows may be its body.
 */
export function splitInstructions(source: Source): Split {
  const split: Split = { instructions: [], problems: [], warnings: [] };
  const directives = collecting(split.problems, () => readDirectives(source)) ?? { escape: "\\" as const, lines: 0 };
  const index = indexLines(source);
  let at = directives.lines;
  while (at < source.lines.length) {
    if (isComment(source.lines[at]) || isBlank(source.lines[at])) {
      at++;
      continue;
    }
    const joined = joinLines(source, at, directives.escape, split.warnings);
    const instruction = readInstruction(joined, directives.escape, at);
    at = joined.next;
    if (split.instructions.length === LIMITS.instructions) {
      const message = `recipe has more than ${LIMITS.instructions} instructions`;
      split.problems.push(problemAt(joined.line, instruction.start, instruction.rest, { code: "too-large", message }));
      return split;
    }
    const whole = collecting(split.problems, () => {
      const markers = findHeredocs(instruction, (name, dash) => index.firstFrom(name, dash, at) !== undefined);
      instruction.heredocs = takeHeredocs(source, joined.line, markers, at, index.firstFrom);
      at = instruction.heredocs.at(-1)?.lastLine ?? at;
      instruction.lastLine = at;
      return true;
    });
    if (whole === undefined) return split;
    split.instructions.push(instruction);
  }
  return split;
}

function readInstruction(joined: Joined, escaper: string, first: number): Instruction {
  const { text } = joined.line;
  const start = text.search(/\S/);
  const word = /^\S*/.exec(text.slice(start))?.[0] ?? "";
  const after = /^\s*/.exec(text.slice(start + word.length))?.[0] ?? "";
  return {
    keyword: word.toUpperCase(),
    word,
    line: joined.line,
    start,
    rest: start + word.length + after.length,
    heredocs: [],
    escape: escaper,
    firstLine: first + 1,
    lastLine: joined.next,
  };
}

/** Joins a line with those that continue it. Comment lines among them go; empty ones go with a warning. */
function joinLines(source: Source, first: number, escaper: string, warnings: Problem[]): Joined {
  const parts: Mapped[] = [];
  let at = first;
  let blank: number | undefined;
  for (; at < source.lines.length; at++) {
    const text = source.lines[at] ?? "";
    if (at > first && isComment(text)) continue;
    if (at > first && isBlank(text)) {
      blank ??= at;
      continue;
    }
    const end = continuesAt(text, escaper);
    parts.push(mapLine(source, at, 0, end ?? text.length));
    if (blank !== undefined) {
      const message = "empty line inside a continued instruction";
      const hint = "remove it, or end the line above without the continuation";
      warnings.push(problemAt(mapLine(source, blank, 0, 0), 0, 0, { code: "suspicious", message, hint }));
      blank = undefined;
    }
    if (end === undefined) return { line: concat(source, parts), next: at + 1 };
  }
  const line = concat(source, parts);
  const message = "the last line is continued, but nothing follows";
  warnings.push(problemAt(line, Math.max(0, line.text.length - 1), line.text.length, { code: "suspicious", message }));
  return { line, next: source.lines.length };
}

/** Where the escape character that continues the line stands; blanks may follow it, another escape may not precede it. */
function continuesAt(text: string, escaper: string): number | undefined {
  let end = text.length;
  while (end > 0 && (text[end - 1] === " " || text[end - 1] === "\t")) end--;
  if (text[end - 1] !== escaper || text[end - 2] === escaper) return undefined;
  return end - 1;
}

function concat(source: Source, parts: readonly Mapped[]): Mapped {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  return {
    source,
    text: parts.map((part) => part.text).join(""),
    offsets: parts.flatMap((part) => part.offsets as number[]),
    end: parts.at(-1)?.end ?? 0,
  };
}

function isComment(line: string | undefined): boolean {
  return /^\s*#/.test(line ?? "");
}

function isBlank(line: string | undefined): boolean {
  return (line ?? "").trim() === "";
}

/** Finds the line that ends a heredoc without walking the file for each. */
function indexLines(source: Source) {
  const exact = new Map<string, number[]>();
  const untabbed = new Map<string, number[]>();
  for (const [number, line] of source.lines.entries()) {
    add(exact, line, number);
    add(untabbed, line.replace(/^\t+/, ""), number);
  }
  return {
    firstFrom(name: string, dash: boolean, from: number): number | undefined {
      const numbers = (dash ? untabbed : exact).get(name) ?? [];
      let low = 0;
      let high = numbers.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((numbers[middle] ?? 0) < from) low = middle + 1;
        else high = middle;
      }
      return numbers[low];
    },
  };
}

function add(index: Map<string, number[]>, line: string, number: number): void {
  const numbers = index.get(line);
  if (numbers === undefined) index.set(line, [number]);
  else numbers.push(number);
}

/** A problem at the instruction's own word. */
export function atKeyword(instruction: Instruction, text: Parameters<typeof problemAt>[3]): Problem {
  const { line, start, word } = instruction;
  return problemAt(line, start, start + word.length, text);
}

/** Leaves the instruction with a problem at characters `start` to `end` of its joined line. */
export function fail(
  instruction: Instruction,
  start: number,
  end: number,
  text: Parameters<typeof problemAt>[3],
): never {
  throw new ProblemFound(problemAt(instruction.line, start, end, text));
}
