import { HostdError } from "../error.ts";
import type { Route } from "./route.ts";

/** What a request line asks for: words of the path as they were sent, not yet decoded, and the query. */
export interface Target {
  words: readonly string[];
  query: Readonly<Record<string, string>>;
}

const TARGET_LIMIT = 8 * 1024;
/** What may stand in a path here: what RFC 3986 allows in one, `%` and `/` included. */
const PATH = /^\/[\w\-.~!$&'()*+,;=:@%/]*$/;

/**
 * Parses a request target in origin form. Nothing is normalised: `..`, `//` and a host in it lead to no route instead
 * of to another one, and a name given twice is refused instead of one of them winning.
 */
export function parseTarget(text: string): Target {
  if (text.length > TARGET_LIMIT) throw bad(`at most ${TARGET_LIMIT} characters`, `${text.length}`);
  const [path = "", ...rest] = text.split("?");
  if (!PATH.test(path)) throw bad("a path", shorten(text));
  const query: Record<string, string> = Object.create(null);
  for (const [name, value] of new URLSearchParams(rest.join("?"))) {
    if (Object.hasOwn(query, name)) throw bad(`${shorten(name)} once`, "it twice");
    query[name] = value;
  }
  return { words: path.split("/"), query: { ...query } };
}

/** The one route that a method and a path lead to, with what stands in its places. */
export function findRoute(routes: readonly Route[], method: string, words: readonly string[]) {
  const path = words.join("/");
  const allowed: string[] = [];
  for (const entry of routes) {
    const pattern = entry.path.split("/");
    if (!fits(pattern, words)) continue;
    allowed.push(entry.method);
    if (entry.method !== method) continue;
    const places = pattern.flatMap((word, index) =>
      word.startsWith("{") ? [[word.slice(1, -1), index] as const] : [],
    );
    return {
      found: entry,
      parameters: Object.fromEntries(places.map(([name, at]) => [name, decode(words[at] ?? "")])),
    };
  }
  const expected = allowed.length === 0 ? "a route of the API" : `${allowed.join(" or ")} for ${shorten(path)}`;
  throw new HostdError("unknown-route", `expected ${expected}, got ${shorten(method)} ${shorten(path)}`, {
    hint: "GET /v1/openapi.json describes them",
  });
}

function fits(pattern: readonly string[], words: readonly string[]): boolean {
  return pattern.length === words.length && pattern.every((word, at) => word.startsWith("{") || word === words[at]);
}

function decode(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    throw bad("a well-formed path", JSON.stringify(shorten(word)));
  }
}

function bad(expected: string, got: string): HostdError {
  return new HostdError("bad-request", `request: expected ${expected}, got ${got}`);
}

function shorten(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
