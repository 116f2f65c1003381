import { clip } from "./width.ts";

/** One thing that happened in long work. JSON lines of these are the `--progress jsonl` format, version 1. */
export interface ProgressEvent {
  /** Names the piece of work; events of one id replace each other on a terminal. */
  id: string;
  state: "started" | "output" | "done" | "cached" | "failed";
  text: string;
  /** Fraction done, 0 to 1, where it is known. */
  fraction?: number;
  /** Milliseconds from started to done. */
  took?: number;
}

type EndedEvent = ProgressEvent & { state: keyof typeof MARKS };

export type Progress = (event: ProgressEvent) => void;

export const PROGRESS_KINDS = ["auto", "plain", "jsonl", "none"] as const;
export type ProgressKind = (typeof PROGRESS_KINDS)[number];

interface Stream {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

const REDRAW_MS = 100;
const BAR_WIDTH = 20;
/** Part of the line that a step's text takes at most, where its program says something. */
const TEXT_SHARE = 0.6;

/**
 * Shows progress on a stream. `auto` is live lines on a terminal and one line per ended step elsewhere; `plain` adds the
 * programs' own output, `jsonl` is one JSON object an event.
 */
export function openProgress(kind: ProgressKind, stream: Stream): { report: Progress; close(): void } {
  if (kind === "none") return { report: () => {}, close: () => {} };
  if (kind === "jsonl") {
    return { report: (event) => stream.write(`${JSON.stringify({ version: 1, ...event })}\n`), close: () => {} };
  }
  if (kind === "plain" || stream.isTTY !== true) {
    const shown = (event: ProgressEvent) => kind === "plain" || event.state !== "output";
    return { report: (event) => shown(event) && stream.write(plainLine(event)), close: () => {} };
  }
  return liveProgress(stream);
}

/** One line for an event; steps that only start say nothing, so that a log holds each step once. */
function plainLine(event: ProgressEvent): string {
  if (event.state === "started") return "";
  if (event.state === "output") return event.text.replace(/^(?=.)/gm, "  | ").replace(/\n*$/, "\n");
  return `${MARKS[event.state]} ${event.text}${tookText(event)}\n`;
}

const MARKS = { done: "✓", cached: "=", failed: "✗" } as const;

function liveProgress(stream: Stream) {
  const active = new Map<string, { event: ProgressEvent; since: number; tail: string }>();
  let drawn = 0;
  const draw = () => {
    const lines = [...active.values()].map(({ event, since, tail }) =>
      liveLine(event, Date.now() - since, tail, stream),
    );
    stream.write(`${erase(drawn)}${lines.map((line) => `${line}\n`).join("")}`);
    drawn = lines.length;
  };
  const timer = setInterval(draw, REDRAW_MS);
  timer.unref();
  const report: Progress = (event) => {
    const known = active.get(event.id);
    if (event.state === "output") {
      if (known !== undefined) known.tail = event.text.trim().split("\n").at(-1) ?? "";
      return;
    }
    if (event.state === "started") {
      active.set(event.id, { event, since: known?.since ?? Date.now(), tail: known?.tail ?? "" });
    } else {
      const ended = { ...event, state: event.state };
      active.delete(event.id);
      stream.write(`${erase(drawn)}${COLOURS[event.state]}${endedLine(ended, stream)}\x1b[0m\n`);
      drawn = 0;
    }
    draw();
  };
  return {
    report,
    close: () => {
      clearInterval(timer);
      stream.write(erase(drawn));
      drawn = 0;
      active.clear();
    },
  };
}

const COLOURS = { done: "\x1b[32m", cached: "\x1b[2m", failed: "\x1b[31m" } as const;

/** A step that goes on: what it is, how long already, and the last that its program said; one line in any case. */
function liveLine(event: ProgressEvent, elapsed: number, tail: string, stream: Stream): string {
  const room = roomOf(stream);
  const bar = event.fraction === undefined ? "" : ` ${progressBar(event.fraction)}`;
  const text = clip(printable(event.text), tail === "" ? room : Math.floor(room * TEXT_SHARE));
  return clip(`… ${text}${bar} ${seconds(elapsed)}${tail === "" ? "" : `  ${printable(tail)}`}`, room);
}

function endedLine(event: EndedEvent, stream: Stream): string {
  const took = tookText(event);
  return `${MARKS[event.state]} ${clip(printable(event.text), roomOf(stream) - took.length - 2)}${took}`;
}

function roomOf({ columns = 80 }: Stream): number {
  return columns - 1;
}

function printable(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, " ");
}

export function progressBar(fraction: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, fraction)) * BAR_WIDTH);
  return `[${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}] ${String(Math.round(fraction * 100)).padStart(3)}%`;
}

function erase(lines: number): string {
  return lines === 0 ? "" : `\x1b[${lines}F\x1b[J`;
}

function tookText(event: ProgressEvent): string {
  return event.state === "cached" ? " (cached)" : event.took === undefined ? "" : ` ${seconds(event.took)}`;
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
