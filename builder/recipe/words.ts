import { LIMITS } from "./limits.ts";
import { ProblemFound } from "./problem.ts";
import { lineEndAt, type Mapped, problemAt } from "./source.ts";

/** A stretch of a joined line, end exclusive; its quotes and variables are still in it. */
export interface Span {
  start: number;
  end: number;
}

/**
 * The next word at or after `at`, cut at `separators` outside of quotes and of `${}`; undefined at the end of the line. A word that
 * starts with `#` is a comment up to the end of its physical line.
 */
export function nextWord(
  line: Mapped,
  at: number,
  escaper: string,
  separators = " \t",
  limit = line.text.length,
): Span | undefined {
  const { text } = line;
  let start = at;
  while (start < limit && separators.includes(text[start] ?? "")) start++;
  if (text[start] === "#") start = skipRemarks(line, start);
  if (start >= limit) return undefined;
  let end = start;
  let braces = 0;
  while (end < limit && (braces > 0 || !separators.includes(text[end] ?? ""))) {
    const character = text[end];
    if (character === "$" && text[end + 1] === "{") braces++;
    else if (character === "}" && braces > 0) braces--;
    if (character === escaper) end += 2;
    else if (character === "'" || character === '"') end = closeQuote(line, end, escaper, limit);
    else end++;
  }
  return { start, end: Math.min(end, limit) };
}

/** All words from `at` on. */
export function splitWords(line: Mapped, at: number, escaper: string): Span[] {
  const words: Span[] = [];
  for (let word = nextWord(line, at, escaper); word !== undefined; word = nextWord(line, word.end, escaper)) {
    words.push(word);
    checkCount(line, word, words.length);
  }
  return words;
}

/** Refuses the word that is one too many. */
export function checkCount(line: Mapped, word: Span, count: number): void {
  if (count <= LIMITS.words) return;
  const message = `instruction has more than ${LIMITS.words} words`;
  throw new ProblemFound(problemAt(line, word.start, word.end, { code: "too-large", message }));
}

/** The place at or after `at` where neither blanks nor comments stand. */
export function skipRemarks(line: Mapped, at: number): number {
  let next = at;
  for (;;) {
    while (line.text[next] === " " || line.text[next] === "\t") next++;
    if (line.text[next] !== "#") return next;
    next = lineEndAt(line, next);
  }
}

/** Nothing but blanks and a comment follows. */
export function isEnd(line: Mapped, at: number): boolean {
  return skipRemarks(line, at) >= line.text.length;
}

/** The place after the quote that closes the one at `start`. */
function closeQuote(line: Mapped, start: number, escaper: string, limit: number): number {
  const opening = line.text[start];
  for (let at = start + 1; at < limit; at++) {
    if (line.text[at] === opening) return at + 1;
    if (opening === '"' && line.text[at] === escaper) at++;
  }
  throw new ProblemFound(
    problemAt(line, start, start + 1, {
      code: "bad-syntax",
      message: `quote ${opening} is not closed`,
      expected: `a second ${opening}`,
    }),
  );
}
