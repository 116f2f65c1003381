import { EXIT_BY_SIGNAL, parseSignal } from "../../manifests/signal.ts";
import { NodeError, type NodeErrorCode } from "./failure.ts";
import type { Running } from "./node.ts";

/** One generation as its holder records it, with the process that takes all others with it. */
export interface HolderRecord extends Running {
  /** The init of the app's pid namespace. */
  init: Process;
  app: Process;
}

/** A pid with the start time (ticks since boot) that makes it name one process for ever. */
export interface Process {
  pid: number;
  start: number;
}

/** Above SIGTERM such a code is more likely one that the program chose. */
const LAST_NAMED = 15;

/** Fields of a request or answer, joined by NUL (holder.pl, top). Refuses a field that holds one. */
export function encodeFields(fields: readonly (string | number)[]): Buffer {
  const texts = fields.map(String);
  const bad = texts.find((text) => text.includes("\0"));
  if (bad !== undefined) throw new NodeError("start-failed", `expected no NUL byte, got ${JSON.stringify(bad)}`);
  return Buffer.from(texts.join("\0"));
}

/** The fields after `ok`; throws what `error` says. `who` begins the message. */
export function decodeAnswer(bytes: Buffer, who: string): string[] {
  const [verdict, ...fields] = bytes.toString().split("\0");
  if (verdict === "ok") return fields;
  if (verdict !== "error") throw new NodeError("holder-failed", `${who}: holder gave no answer`);
  const [code = "", ...text] = fields;
  const known: readonly NodeErrorCode[] = ["port-in-use", "start-failed", "launcher-failed", "already-running"];
  const error = known.find((name) => name === code) ?? "holder-failed";
  throw new NodeError(error, `${who}: ${text.join(" ")}`, { details: { fields: text } });
}

/** One record line; undefined for a text that is none (a file cut short by a full disk). */
export function parseRecord(line: string): HolderRecord | undefined {
  const fields = new Map(
    line
      .trim()
      .split(" ")
      .map((field): [string, string] => split(field)),
  );
  const number = (name: string) =>
    /^\d+(\.\d+)?$/.test(fields.get(name) ?? "") ? Number(fields.get(name)) : undefined;
  const generation = number("generation");
  const started = number("started");
  if (generation === undefined || started === undefined) return undefined;
  const ended = number("ended");
  const app = { pid: number("pid") ?? 0, start: number("start") ?? 0 };
  const init = { pid: number("init") ?? 0, start: number("initstart") ?? 0 };
  return {
    generation,
    pid: app.pid,
    startedAt: timeOf(started),
    ...(ended === undefined
      ? {}
      : { exited: { ...exitOf(number("code")), ...(fields.has("oom") ? { oom: true } : {}), at: timeOf(ended) } }),
    init,
    app,
  };
}

function split(field: string): [string, string] {
  const at = field.indexOf("=");
  return at < 0 ? [field, ""] : [field.slice(0, at), field.slice(at + 1)];
}

function exitOf(code: number | undefined): { code?: number; signal?: string } {
  if (code === undefined) return {};
  const number = code - EXIT_BY_SIGNAL;
  const signal = number > 0 && number <= LAST_NAMED ? parseSignal(String(number)) : undefined;
  return signal === undefined ? { code } : { code, signal: signal.name };
}

/** Seconds since 1970, with fractions, to RFC 3339; what no calendar holds becomes its end. */
function timeOf(seconds: number): string {
  return new Date(Math.min(seconds * 1000, 8.64e15)).toISOString();
}
