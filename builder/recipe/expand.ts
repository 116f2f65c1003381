import { LIMITS } from "./limits.ts";
import { matchPattern } from "./pattern.ts";
import { ProblemFound, type ProblemText, quote } from "./problem.ts";
import { type Mapped, problemAt } from "./source.ts";
import type { Span } from "./words.ts";

/** What `$name` means, and what happens when it means nothing. */
export interface Variables {
  escape: string;
  lookup(name: string): string | undefined;
  /** Answers for a name that is not set, or leaves with a problem. */
  missing(name: string, line: Mapped, span: Span): string;
  /** Characters read and written so far by all substitutions of the recipe (LIMITS.substitutionWork). */
  work: { spent: number };
}

/** `word` takes quotes and escapes away, as a Dockerfile does; `heredoc` leaves quotes as they are. */
export type ExpandMode = "word" | "heredoc";

interface Cursor {
  line: Mapped;
  at: number;
  end: number;
  mode: ExpandMode;
  variables: Variables;
  depth: number;
}

/**
 * The value of a stretch of text: `$v ${v} ${v:-d} ${v-d} ${v:+a} ${v+a} ${v:?message} ${v?message} ${v#p} ${v##p}
 * ${v%p} ${v%%p} ${v/p/r} ${v//p/r}`, quotes and escapes. Nothing is substituted inside single quotes.
 */
export function expand(line: Mapped, span: Span, variables: Variables, mode: ExpandMode = "word"): string {
  const cursor: Cursor = { line, at: span.start, end: span.end, mode, variables, depth: 0 };
  return expandUntil(cursor, "");
}

/** Reads up to one of the characters in `stops` (left unread), or to the end. */
function expandUntil(cursor: Cursor, stops: string): string {
  const { text } = cursor.line;
  let value = "";
  let quoted = false;
  while (cursor.at < cursor.end) {
    const from = cursor.at;
    const character = text[from] ?? "";
    if (!quoted && stops.includes(character)) break;
    if (character === cursor.variables.escape) value += readEscape(cursor, quoted);
    else if (character === "$") value += readVariable(cursor);
    else if (character === '"' && cursor.mode === "word") {
      quoted = !quoted;
      cursor.at++;
    } else if (character === "'" && cursor.mode === "word" && !quoted) value += readSingleQuoted(cursor);
    else {
      value += character;
      cursor.at++;
    }
    if (value.length > LIMITS.valueLength) tooLong(cursor, from);
  }
  return value;
}

function readEscape(cursor: Cursor, quoted: boolean): string {
  const escaper = cursor.variables.escape;
  const next = cursor.at + 1 < cursor.end ? (cursor.line.text[cursor.at + 1] ?? "") : "";
  const keeps = quoted
    ? !['"', "$", escaper].includes(next)
    : cursor.mode === "heredoc" && !["$", escaper].includes(next);
  if (next === "" || keeps) {
    cursor.at++;
    return escaper;
  }
  cursor.at += 2;
  return next;
}

function readSingleQuoted(cursor: Cursor): string {
  const close = cursor.line.text.indexOf("'", cursor.at + 1);
  if (close < 0 || close >= cursor.end) fail(cursor, cursor.at, cursor.at + 1, notClosed("quote '", "'"));
  const value = cursor.line.text.slice(cursor.at + 1, close);
  cursor.at = close + 1;
  return value;
}

function readVariable(cursor: Cursor): string {
  const start = cursor.at;
  const { text } = cursor.line;
  if (text[start + 1] === "{" && start + 1 < cursor.end) return readBraced(cursor);
  const name = nameAt(text, start + 1, cursor.end);
  cursor.at += 1 + name.length;
  return name === "" ? "$" : spend(cursor, variableAt(cursor, name, start, cursor.at));
}

function readBraced(cursor: Cursor): string {
  const start = cursor.at;
  const { text } = cursor.line;
  if (cursor.depth >= LIMITS.substitutionDepth) {
    const message = `substitutions are nested deeper than ${LIMITS.substitutionDepth}`;
    fail(cursor, start, start + 2, { code: "too-large", message });
  }
  const name = nameAt(text, start + 2, cursor.end);
  cursor.at = start + 2 + name.length;
  if (name === "") {
    const expected = "a name and }";
    fail(cursor, start, Math.min(cursor.at + 1, cursor.end), {
      code: "bad-syntax",
      message: "substitution without a name",
      expected,
    });
  }
  cursor.depth++;
  const value = readModifier(cursor, name, start);
  cursor.depth--;
  if (cursor.at >= cursor.end || text[cursor.at] !== "}") fail(cursor, start, start + 2, notClosed("${", "}"));
  cursor.at++;
  return spend(cursor, value);
}

function readModifier(cursor: Cursor, name: string, start: number): string {
  const { text } = cursor.line;
  const at = cursor.at;
  if (text[at] === "}" || at >= cursor.end) return variableAt(cursor, name, start, at);
  const operator = /^(?::[-+?]|[-+?]|##?|%%?|\/\/?)/.exec(text.slice(at, Math.min(at + 2, cursor.end)))?.[0];
  if (operator === undefined) {
    fail(cursor, at, at + 1, {
      code: "bad-syntax",
      message: `unknown substitution ${quote(text.slice(at, at + 1))} after ${quote(name)}`,
      expected: "} or one of :- - :+ + :? ? # ## % %% / //",
    });
  }
  cursor.at += operator.length;
  const replaces = operator.startsWith("/");
  const word = expandUntil(cursor, replaces ? "/}" : "}");
  const replacement = replaces && text[cursor.at] === "/" ? readReplacement(cursor) : "";
  const value = cursor.variables.lookup(name);
  const set = value !== undefined && !(operator.startsWith(":") && value === "");
  switch (operator.replace(":", "")) {
    case "-":
      return set ? (value ?? "") : word;
    case "+":
      return set ? word : "";
    case "?":
      if (set) return value ?? "";
      return fail(cursor, start, cursor.at + 1, {
        code: "unknown-variable",
        message: `variable ${quote(name)} is not set${word === "" ? "" : `: ${word}`}`,
      });
    default:
      return matchPattern(operator, variableAt(cursor, name, start, cursor.at + 1), word, replacement, (work) =>
        charge(cursor, work),
      );
  }
}

function readReplacement(cursor: Cursor): string {
  cursor.at++;
  return expandUntil(cursor, "}");
}

function variableAt(cursor: Cursor, name: string, start: number, end: number): string {
  const { variables, line } = cursor;
  return variables.lookup(name) ?? variables.missing(name, line, { start, end: Math.min(end, cursor.end) });
}

function spend(cursor: Cursor, value: string): string {
  charge(cursor, value.length);
  return value;
}

function charge(cursor: Cursor, work: number): void {
  cursor.variables.work.spent += work;
  if (cursor.variables.work.spent <= LIMITS.substitutionWork) return;
  const message = "substitutions of this recipe grow too large";
  fail(cursor, cursor.at, cursor.at + 1, { code: "too-large", message });
}

function tooLong(cursor: Cursor, from: number): never {
  const message = `value is longer than ${LIMITS.valueLength} characters`;
  return fail(cursor, from, cursor.at, { code: "too-large", message });
}

function nameAt(text: string, start: number, end: number): string {
  return /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9])/.exec(text.slice(start, Math.min(end, start + 256)))?.[0] ?? "";
}

function notClosed(what: string, expected: string): ProblemText {
  return { code: "bad-syntax", message: `${what} is not closed`, expected };
}

function fail(cursor: Cursor, start: number, end: number, text: ProblemText): never {
  throw new ProblemFound(problemAt(cursor.line, start, Math.min(end, cursor.end), text));
}
