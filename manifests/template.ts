// Templates of CONFIG files. A placeholder is `{{ path }}`, with `| default VALUE` and `| json` behind it; `{{ "text" }}`
// writes text that would else be taken for one. Braces that begin with neither a name nor a quote are text.

/** Names joined by points: `db.host`. */
const NAME = /[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*/;
const BLANKS = /[ \t]*/;
const FILTER = /\|[ \t]*([A-Za-z]*)[ \t]*/;
const LITERAL = /"(?:[^"\\\n]|\\.)*"|-?\d+(?:\.\d+)?|true|false/;
const END = /\}\}/;

/** The first name of paths that lead to secrets. */
export const SECRET = "secret";

type Scalar = string | number | boolean;

/** Where a value is put in. */
export interface Placeholder {
  path: string;
  /** What stands in where no layer has a value. */
  fallback?: Scalar;
  /** Written as JSON: a string with its quotes, lists and maps whole. */
  json: boolean;
  /** Both from 1 on. */
  line: number;
  column: number;
}

/** A template that cannot be read: what is wrong, where, and how many characters of it. */
export class TemplateProblem extends Error {
  readonly line: number;
  readonly column: number;
  readonly length: number;
  constructor(message: string, at: Place & { length: number }) {
    super(message);
    this.line = at.line;
    this.column = at.column;
    this.length = at.length;
  }
}

/** True where one of the paths that templates name puts a value in: by its own name, or in a map written whole. */
export function isRead(name: string, paths: Iterable<string>): boolean {
  return [...paths].some((path) => name === path || name.startsWith(`${path}.`));
}

/** A template as text and placeholders, in order. Throws TemplateProblem at the first thing that is neither. */
export function parseTemplate(text: string): (string | Placeholder)[] {
  const pieces: (string | Placeholder)[] = [];
  const placeAt = placesOf(text);
  let from = 0;
  for (let at = text.indexOf("{{"); at >= 0; at = text.indexOf("{{", at)) {
    const inner = at + 2 + match(BLANKS, text, at + 2).length;
    if (!/[A-Za-z_"]/.test(text[inner] ?? "")) {
      at += 2;
      continue;
    }
    const read = readPlaceholder(text, placeAt(at), inner);
    pieces.push(text.slice(from, at), read.piece);
    from = read.end;
    at = read.end;
  }
  pieces.push(text.slice(from));
  return pieces.filter((piece) => piece !== "");
}

function readPlaceholder(text: string, place: Place, inner: number): { piece: string | Placeholder; end: number } {
  if (text[inner] === '"') {
    const literal = match(LITERAL, text, inner);
    return { piece: String(scalarOf(text, inner, literal)), end: closed(text, inner + literal.length) };
  }
  const path = match(NAME, text, inner);
  const piece: Placeholder = { path, json: false, ...place };
  let at = skip(text, inner + path.length);
  while (text[at] === "|") {
    const [whole = "", filter] = matchAll(FILTER, text, at);
    const value = at + whole.length;
    if (filter === "json") piece.json = true;
    else if (filter === "default") {
      const literal = match(LITERAL, text, value);
      if (path === SECRET || path.startsWith(`${SECRET}.`)) fail(text, at, whole.length, "a secret has no default");
      piece.fallback = scalarOf(text, value, literal);
      at = skip(text, value + literal.length);
      continue;
    } else fail(text, at, Math.max(1, whole.trimEnd().length), `expected json or default, got ${quote(whole)}`);
    at = skip(text, value);
  }
  return { piece, end: closed(text, at) };
}

function scalarOf(text: string, at: number, literal: string): Scalar {
  try {
    return JSON.parse(literal);
  } catch {
    return fail(text, at, 1, `expected "text", a number, true or false, got ${quote(restOf(text, at))}`);
  }
}

/** The place after the closing braces. */
function closed(text: string, from: number): number {
  const at = skip(text, from);
  if (match(END, text, at) !== "") return at + 2;
  return fail(text, at, 1, `expected }} or |, got ${quote(restOf(text, at))}`);
}

function skip(text: string, at: number): number {
  return at + match(BLANKS, text, at).length;
}

function match(pattern: RegExp, text: string, at: number): string {
  return matchAll(pattern, text, at)[0] ?? "";
}

function matchAll(pattern: RegExp, text: string, at: number): readonly (string | undefined)[] {
  const sticky = new RegExp(pattern, "y");
  sticky.lastIndex = at;
  return sticky.exec(text) ?? [];
}

function restOf(text: string, at: number): string {
  return text.slice(at, at + 20).split("\n")[0] ?? "";
}

function quote(text: string): string {
  return text.trim() === "" ? "the end of the line" : JSON.stringify(text.trim());
}

interface Place {
  line: number;
  column: number;
}

/** Line and column of offsets that only rise, in one pass over the text. */
function placesOf(text: string): (offset: number) => Place {
  let [line, start] = [1, 0];
  return (offset) => {
    for (let end = text.indexOf("\n", start); end >= 0 && end < offset; end = text.indexOf("\n", start)) {
      line++;
      start = end + 1;
    }
    return { line, column: offset - start + 1 };
  };
}

function fail(text: string, at: number, length: number, message: string): never {
  throw new TemplateProblem(message, { ...placesOf(text)(at), length });
}
