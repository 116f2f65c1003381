import { posix } from "node:path";
import { nearest } from "../../terminal/nearest.ts";
import { type Argument, badValue } from "./arguments.ts";
import { LIMITS } from "./limits.ts";
import { type ProblemText, quote } from "./problem.ts";
import type { Mode, ModeClause, Owner } from "./recipe.ts";
import { fail, type Instruction } from "./split.ts";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const LONGEST_DURATION = 24 * 3_600_000;

/** `500ms`, `1s`, `1.5s`, `2m`, `1m30s`, `1h` in whole milliseconds, above 0 unless `zero`, at most a day. */
export function duration(instruction: Instruction, at: Argument, zero = false): number {
  const expected = "a duration such as 500ms, 1s or 2m";
  const parts = at.value.length <= 32 ? [...at.value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)] : [];
  if (parts.length === 0 || parts.map((part) => part[0]).join("") !== at.value) {
    const number = /^\d+$/.test(at.value);
    const suggestion = number && at.value !== "0" ? `${at.value}s` : undefined;
    if (!(zero && at.value === "0"))
      badValue(instruction, at, `bad duration ${quote(at.value)}`, { expected, suggestion });
  }
  const total = Math.round(parts.reduce((sum, part) => sum + Number(part[1]) * (UNITS[part[2] ?? ""] ?? 0), 0));
  if (total > LONGEST_DURATION)
    badValue(instruction, at, `duration ${at.value} is too long`, { expected: "at most 24h" });
  if (total === 0 && !zero)
    badValue(instruction, at, `duration ${at.value} is too short`, { expected: "at least 1ms" });
  return total;
}

/** A whole number in decimal between `least` and `most`. */
export function whole(instruction: Instruction, at: Argument, what: string, least: number, most: number): number {
  const value = /^\d{1,15}$/.test(at.value) ? Number(at.value) : Number.NaN;
  if (value >= least && value <= most) return value;
  return badValue(instruction, at, `bad ${what} ${quote(at.value)}`, {
    expected: `a whole number from ${least} to ${most}`,
  });
}

export function port(instruction: Instruction, at: Argument): number {
  return whole(instruction, at, "port", 1, 65_535);
}

export function oneOf<T extends string>(instruction: Instruction, at: Argument, what: string, known: readonly T[]): T {
  const found = known.find((value) => value === at.value);
  if (found !== undefined) return found;
  return badValue(instruction, at, `bad ${what} ${quote(at.value)}`, {
    expected: list(known),
    suggestion: nearest(at.value, known),
  });
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** A path inside the image: absolute, or taken from `workdir`; normalised, no slash at its end. */
export function imagePath(instruction: Instruction, at: Argument, workdir: string): string {
  checkPath(instruction, at);
  const path = posix.resolve("/", workdir, at.value);
  return path;
}

/**
 * A path in the build context, normalised and relative. What leaves the context is refused here; a symlink that leads
 * out is refused where files are read.
 */
export function contextPath(instruction: Instruction, at: Argument, what = "COPY source"): string {
  checkPath(instruction, at);
  const refuse = (message: string, more: Omit<ProblemText, "code" | "message">) =>
    fail(instruction, at.start, at.end, { code: "bad-path", message, ...more });
  if (/^(?:https?|ftp|git|ssh):\/\/|^git@/.test(at.value)) {
    refuse(`${what} ${quote(at.value)} is not a file`, {
      expected: "a path inside the context",
      hint: "fetch it in BOOTSTRAP: RUN curl -fsSLo FILE URL && echo 'SHA256  FILE' | sha256sum -c",
    });
  }
  const relative = at.value.replace(/^\/+/, "");
  if (at.value.startsWith("/")) {
    const suggestion = relative === "" ? "." : relative;
    refuse(`${what} ${quote(at.value)} is absolute`, { expected: "a path relative to the context", suggestion });
  }
  const path = posix.normalize(at.value).replace(/(?<=.)\/$/, "");
  if (path === ".." || path.startsWith("../")) {
    const hint = "move the file into the directory that holds the recipe, or give another --context";
    refuse(`${what} ${quote(at.value)} leaves the context`, { expected: "a path inside the context", hint });
  }
  return path;
}

/** `user[:group]`, names or numbers. */
export function owner(instruction: Instruction, at: Argument): Owner {
  const name = "(?:[A-Za-z_][A-Za-z0-9_.-]{0,63}\\$?|\\d{1,10})";
  const found = new RegExp(`^(${name})(?::(${name}))?$`).exec(at.value);
  const ids = [found?.[1], found?.[2]].map((id) => (/^\d+$/.test(id ?? "") ? Number(id) : 0));
  if (found?.[1] === undefined || ids.some((id) => id > 4_294_967_294)) {
    return badValue(instruction, at, `bad owner ${quote(at.value)}`, {
      expected: "user or user:group, as names or numbers",
    });
  }
  return { user: found[1], group: found[2] };
}

/** `755`, `0644`, `u=rwX,go=rX`, `+x`. */
export function mode(instruction: Instruction, at: Argument): Mode {
  if (/^[0-7]{3,5}$/.test(at.value) && Number.parseInt(at.value, 8) <= 0o7777) {
    return { form: "octal", mode: Number.parseInt(at.value, 8) };
  }
  const clauses = at.value.length <= 256 ? at.value.split(",").map(modeClauses) : [];
  if (clauses.length === 0 || clauses.includes(undefined)) {
    return badValue(instruction, at, `bad mode ${quote(at.value)}`, {
      expected: "octal such as 755, or symbolic such as u=rwX,go=rX",
    });
  }
  return { form: "symbolic", clauses: clauses.flatMap((list) => list ?? []) };
}

function modeClauses(text: string): ModeClause[] | undefined {
  const found = /^([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)$/.exec(text);
  if (found === null) return undefined;
  const who = found[1]?.includes("a") ? "ugo" : [..."ugo"].filter((letter) => found[1]?.includes(letter)).join("");
  return [...(found[2] ?? "").matchAll(/([-+=])([^-+=]*)/g)].map((part) => ({
    who,
    operator: part[1] as ModeClause["operator"],
    permissions: part[2] ?? "",
  }));
}

function checkPath(instruction: Instruction, at: Argument): void {
  if (at.value === "") fail(instruction, at.start, at.end, { code: "bad-path", message: "path is empty" });
  if (Buffer.byteLength(at.value) > LIMITS.pathBytes) {
    const expected = `at most ${LIMITS.pathBytes} bytes`;
    fail(instruction, at.start, at.end, { code: "bad-path", message: "path is too long", expected });
  }
}
