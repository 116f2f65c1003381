import { LIMITS } from "./limits.ts";
import { type Problem, ProblemFound, type ProblemText } from "./problem.ts";
import type { Position } from "./recipe.ts";

/** A recipe's text: no byte order mark, `\n` line ends, within LIMITS, without NUL. */
export interface Source {
  file: string;
  lines: readonly string[];
  /** Offset of each line's first character when lines are joined with `\n`. */
  starts: readonly number[];
}

/** Text put together from a source (joined lines, a heredoc's body); each character knows its offset there. */
export interface Mapped {
  source: Source;
  text: string;
  offsets: readonly number[];
  /** Offset of the place behind the last character. */
  end: number;
}

/** Checks limits and encoding and splits into lines; leaves with ProblemFound at the first line that is no text. */
export function readSource(input: string | Uint8Array, file: string): Source {
  const size = typeof input === "string" ? Buffer.byteLength(input) : input.length;
  if (size > LIMITS.fileBytes) {
    throw atLine({ file, lines: [""], starts: [0] }, 0, 0, {
      code: "too-large",
      message: `recipe has ${size} bytes`,
      expected: `at most ${LIMITS.fileBytes}`,
    });
  }
  const text = typeof input === "string" ? input : new TextDecoder("utf-8", { ignoreBOM: true }).decode(input);
  const lines = text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
  const source = { file, lines, starts: startsOf(lines) };
  checkLines(source, typeof input !== "string" && !isUtf8(input));
  return source;
}

/** A problem at characters `start` to `end` (exclusive) of a mapped text; only its first line is underlined. */
export function problemAt(mapped: Mapped, start: number, end: number, text: ProblemText): Problem {
  const { source } = mapped;
  const first = offsetOf(mapped, start);
  const last = end > start ? offsetOf(mapped, end - 1) + 1 : first;
  const line = lineOf(source, first);
  const from = first - (source.starts[line] ?? 0);
  const content = source.lines[line] ?? "";
  const to = Math.min(last - (source.starts[line] ?? 0), content.length);
  return {
    ...text,
    file: source.file,
    position: { line: line + 1, column: characters(content.slice(0, from)) + 1 },
    source: content,
    length: Math.max(1, characters(content.slice(from, to))),
  };
}

export function positionAt(mapped: Mapped, start: number): Position {
  const offset = offsetOf(mapped, start);
  const line = lineOf(mapped.source, offset);
  const before = (mapped.source.lines[line] ?? "").slice(0, offset - (mapped.source.starts[line] ?? 0));
  return { line: line + 1, column: characters(before) + 1 };
}

/** The place in a joined text where the physical line of the character at `index` ends. */
export function lineEndAt(mapped: Mapped, index: number): number {
  const line = lineOf(mapped.source, offsetOf(mapped, index));
  const end = (mapped.source.starts[line] ?? 0) + (mapped.source.lines[line] ?? "").length;
  let next = index;
  while (next < mapped.text.length && offsetOf(mapped, next) < end) next++;
  return next;
}

/** The characters `from` to `to` of one physical line (from 0). */
export function mapLine(source: Source, line: number, from: number, to: number): Mapped {
  const start = source.starts[line] ?? 0;
  const text = (source.lines[line] ?? "").slice(from, to);
  return {
    source,
    text,
    offsets: Array.from({ length: text.length }, (_, index) => start + from + index),
    end: start + to,
  };
}

function checkLines(source: Source, broken: boolean): void {
  if (source.lines.length > LIMITS.lines + 1) {
    const text = { code: "too-large", message: `recipe has more than ${LIMITS.lines} lines` } as const;
    throw atLine(source, LIMITS.lines, 0, text);
  }
  for (const [line, text] of source.lines.entries()) {
    if (text.length > LIMITS.lineLength) {
      const expected = `at most ${LIMITS.lineLength} characters, continue long lines with \\`;
      throw atLine(source, line, 0, { code: "too-large", message: `line has ${text.length} characters`, expected });
    }
    const nul = text.indexOf("\0");
    if (nul >= 0) {
      throw atLine(source, line, nul, { code: "not-text", message: "NUL byte", expected: "a text file in UTF-8" });
    }
    const bad = broken ? text.indexOf("\uFFFD") : -1;
    if (bad >= 0) {
      const message = "bytes that are not UTF-8";
      throw atLine(source, line, bad, { code: "not-text", message, expected: "a text file in UTF-8" });
    }
  }
}

function atLine(source: Source, line: number, column: number, text: ProblemText): ProblemFound {
  const mapped = mapLine(source, line, 0, (source.lines[line] ?? "").length);
  return new ProblemFound(problemAt(mapped, column, column + 1, text));
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

function startsOf(lines: readonly string[]): number[] {
  let offset = 0;
  return lines.map((line) => {
    const start = offset;
    offset += line.length + 1;
    return start;
  });
}

function offsetOf(mapped: Mapped, index: number): number {
  return mapped.offsets[index] ?? mapped.end;
}

function lineOf(source: Source, offset: number): number {
  let low = 0;
  let high = source.starts.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((source.starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

function characters(text: string): number {
  if (!/[\ud800-\udfff]/.test(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}
