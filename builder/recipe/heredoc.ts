import { LIMITS } from "./limits.ts";
import { type Problem, ProblemFound, quote } from "./problem.ts";
import { lineEndAt, type Mapped, problemAt, type Source } from "./source.ts";
import type { Instruction } from "./split.ts";

/** `<<EOF` in an instruction's line. */
export interface Marker {
  /** In the joined line, `<<` to the end of the delimiter. */
  start: number;
  end: number;
  name: string;
  /** The delimiter had no quotes: variables in the body are substituted by whoever reads it. */
  expand: boolean;
  /** `<<-`: leading tabs of the body go. */
  dash: boolean;
}

export interface Heredoc extends Marker {
  /** The body as its reader gets it: tabs gone for `<<-`, each line ended by `\n`. */
  body: Mapped;
  /** The body and its last delimiter as written, for a shell that reads the heredoc itself. */
  raw: string;
  /** Lines up to and with the delimiter (number from 1). */
  lastLine: number;
}

/** Open parentheses of a shell text; `<<` inside `((` is a shift. */
interface Nesting {
  open: ("(" | "((")[];
  arithmetic: number;
}

type Ends = (name: string, dash: boolean) => boolean;

/**
 * The heredocs an instruction opens. In COPY and ADD they are whole words; elsewhere they are found as a shell would,
 * outside of quotes, comments and arithmetic. `<< EOF` with a blank counts only when a line `EOF` follows (`ends`).
 */
export function findHeredocs(instruction: Instruction, ends: Ends): Marker[] {
  const { text } = instruction.line;
  const copies = instruction.keyword === "COPY" || instruction.keyword === "ADD";
  const markers: Marker[] = [];
  const nesting: Nesting = { open: [], arithmetic: 0 };
  let at = instruction.rest;
  while (at < text.length) {
    const character = text[at];
    const atWord = at === instruction.rest || /[\s;&|(]/.test(text[at - 1] ?? "");
    if (character === instruction.escape) at += 2;
    else if (character === "'" || character === '"') at = skipQuoted(text, at, instruction.escape);
    else if (character === "#" && atWord && !copies) return markers;
    else if (character === "#" && atWord) at = lineEndAt(instruction.line, at);
    else if (text.startsWith("((", at)) at += open(nesting, "((");
    else if (character === "(") at += open(nesting, "(");
    else if (character === ")") at += close(nesting, text.startsWith("))", at));
    else if (text.startsWith("<<<", at)) at += 3;
    else if (text.startsWith("<<", at) && nesting.arithmetic === 0 && (atWord || !copies)) {
      const marker = readMarker(instruction, at, ends);
      if (marker !== undefined) markers.push(marker);
      if (markers.length > LIMITS.heredocs) {
        const message = `instruction opens more than ${LIMITS.heredocs} heredocs`;
        throw new ProblemFound(problemAt(instruction.line, at, at + 2, { code: "too-large", message }));
      }
      at = marker?.end ?? at + 2;
    } else at++;
  }
  return markers;
}

/** The bodies below an instruction, in order; an unterminated one is a problem at its `<<`, which names the line. */
export function takeHeredocs(
  source: Source,
  line: Mapped,
  markers: readonly Marker[],
  from: number,
  endOf: (name: string, dash: boolean, from: number) => number | undefined,
): Heredoc[] {
  let at = from;
  return markers.map((marker) => {
    const end = endOf(marker.name, marker.dash, at);
    if (end === undefined) throw new ProblemFound(unterminated(source, line, marker, at));
    const heredoc = {
      ...marker,
      body: bodyOf(source, at, end, marker.dash),
      raw: source.lines.slice(at, end + 1).join("\n"),
      lastLine: end + 1,
    };
    at = end + 1;
    return heredoc;
  });
}

function unterminated(source: Source, line: Mapped, marker: Marker, from: number): Problem {
  const name = quote(marker.name);
  const padded = source.lines.findIndex((text, index) => index >= from && text.trim() === marker.name);
  const problem = problemAt(line, marker.start, marker.end, {
    code: "bad-heredoc",
    message: `heredoc ${name} has no end`,
    expected: `a line ${name} below it${marker.dash ? "" : ", with nothing before or after"}`,
    hint:
      padded < 0 ? undefined : `line ${padded + 1} has blanks around it; <<-${marker.name} lets tabs stand before it`,
  });
  return { ...problem, message: `heredoc ${name} that starts in line ${problem.position.line} has no end` };
}

function readMarker(instruction: Instruction, start: number, ends: Ends): Marker | undefined {
  const { text } = instruction.line;
  let at = start + 2;
  const dash = text[at] === "-";
  if (dash) at++;
  const delimiterAt = at + (/^[ \t]*/.exec(text.slice(at))?.[0].length ?? 0);
  const delimiter = readDelimiter(text, delimiterAt, instruction.escape);
  if (delimiter === undefined) return undefined;
  const spaced = delimiterAt > at;
  if (spaced && !(/^[A-Za-z_][\w.-]*$/.test(delimiter.name) && ends(delimiter.name, dash))) return undefined;
  return { start, end: delimiter.end, name: delimiter.name, expand: !delimiter.quoted, dash };
}

function readDelimiter(text: string, start: number, escaper: string) {
  let at = start;
  let name = "";
  let quoted = false;
  while (at < text.length && !/[\s<>|&;()]/.test(text[at] ?? "")) {
    const character = text[at] ?? "";
    if (character === "'" || character === '"') {
      const close = text.indexOf(character, at + 1);
      if (close < 0) return undefined;
      name += text.slice(at + 1, close);
      quoted = true;
      at = close + 1;
    } else if (character === escaper) {
      name += text[at + 1] ?? "";
      quoted = true;
      at += 2;
    } else {
      name += character;
      at++;
    }
  }
  return name === "" ? undefined : { name, quoted, end: at };
}

function skipQuoted(text: string, start: number, escaper: string): number {
  const quoteCharacter = text[start];
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === quoteCharacter) return at + 1;
    if (quoteCharacter === '"' && text[at] === escaper) at++;
  }
  return text.length;
}

function open(nesting: Nesting, kind: "(" | "(("): number {
  nesting.open.push(kind);
  if (kind === "((") nesting.arithmetic++;
  return kind.length;
}

function close(nesting: Nesting, twice: boolean): number {
  const inner = nesting.open.at(-1);
  if (inner === "((" && !twice) return 1;
  nesting.open.pop();
  if (inner !== "((") return 1;
  nesting.arithmetic--;
  return 2;
}

function bodyOf(source: Source, from: number, to: number, dash: boolean): Mapped {
  const offsets: number[] = [];
  let text = "";
  for (let line = from; line < to; line++) {
    const content = source.lines[line] ?? "";
    const skipped = dash ? (/^\t*/.exec(content)?.[0].length ?? 0) : 0;
    const start = (source.starts[line] ?? 0) + skipped;
    text += `${content.slice(skipped)}\n`;
    for (let index = 0; index <= content.length - skipped; index++) offsets.push(start + index);
  }
  return { source, text, offsets, end: source.starts[to] ?? 0 };
}
