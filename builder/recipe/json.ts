import { ProblemFound, type ProblemText, quote } from "./problem.ts";
import { type Mapped, problemAt } from "./source.ts";
import { isEnd, type Span } from "./words.ts";

export interface JsonArray {
  values: JsonString[];
  /** The place after `]`. */
  end: number;
}

export interface JsonString extends Span {
  value: string;
}

/**
 * The JSON (exec) form at `at`: an array of strings. Answers undefined when the text is a shell command that only
 * starts with `[` (a test), and leaves with a problem when an array was meant but is broken.
 */
export function readJsonForm(line: Mapped, at: number): JsonArray | undefined {
  if (line.text[at] !== "[") return undefined;
  try {
    const array = readJsonArray(line, at);
    if (isEnd(line, array.end) || isMeant(line.text, at)) return array;
    return undefined;
  } catch (error) {
    if (error instanceof ProblemFound && !isMeant(line.text, at)) return undefined;
    throw error;
  }
}

/** An array of strings at `at`, with the exact place of what is wrong with it. */
export function readJsonArray(line: Mapped, at: number): JsonArray {
  const { text } = line;
  const values: JsonString[] = [];
  let next = skipBlanks(text, at + 1);
  if (text[next] === "]") return { values, end: next + 1 };
  for (;;) {
    const value = readString(line, next);
    values.push(value);
    next = skipBlanks(text, value.end);
    if (text[next] === "]") return { values, end: next + 1 };
    if (text[next] !== ",") throw broken(line, next, next + 1, { expected: ", or ] after a string" });
    next = skipBlanks(text, next + 1);
    if (text[next] === "]") throw broken(line, next, next + 1, { expected: "a string after ," });
  }
}

function readString(line: Mapped, start: number): JsonString {
  const { text } = line;
  if (text[start] !== '"') {
    const end = start + (/^[^\s,\]]+/.exec(text.slice(start, start + 256))?.[0].length ?? 1);
    const hint = text[start] === "'" ? "JSON strings stand in double quotes, not in single ones" : undefined;
    throw broken(line, start, end, { expected: "a string in double quotes", hint });
  }
  let end = start + 1;
  while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  if (end >= text.length) throw broken(line, start, start + 1, { expected: 'a second "' });
  end++;
  try {
    const value: unknown = JSON.parse(text.slice(start, end));
    if (typeof value === "string" && !value.includes("\0")) return { value, start, end };
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  throw broken(line, start, end, { expected: "a JSON string without control characters, with \\\\ for a backslash" });
}

function broken(line: Mapped, start: number, end: number, text: Partial<ProblemText>): ProblemFound {
  const got = line.text.slice(start, end).trim();
  const message = `bad JSON array: ${got === "" ? "it ends too early" : `got ${quote(got)}`}`;
  return new ProblemFound(problemAt(line, start, end, { code: "bad-json", message, ...text }));
}

/** `["a"`, `['a'`, `[1`: no shell command starts so; `[ "a", ...` is an array because of its comma. */
function isMeant(text: string, at: number): boolean {
  const after = text.slice(at + 1, at + 4096);
  return /^[^\s[]/.test(after) || /^\s*["'][^"']*["']\s*,/.test(after);
}

function skipBlanks(text: string, at: number): number {
  let next = at;
  while (text[next] === " " || text[next] === "\t") next++;
  return next;
}
