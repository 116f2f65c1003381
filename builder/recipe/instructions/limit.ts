import type { Limits } from "../../../manifests/app.ts";
import { type Argument, badValue, missing, readArguments } from "../arguments.ts";
import type { Draft } from "../draft.ts";
import { quote } from "../problem.ts";
import { fail, type Instruction } from "../split.ts";
import { oneOf } from "../values.ts";

type Name = keyof Limits;

const NAMES = ["memory", "cpu", "tasks", "files"] as const satisfies readonly Name[];
const EXPECTED = "memory=512M, cpu=150%, tasks=512 or files=4096";
const UNITS: Readonly<Record<string, number>> = { K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };

/** Least and most of each; below the least no sandbox comes up. */
const RANGES: Readonly<Record<Name, readonly [least: number, most: number]>> = {
  memory: [8 * 1024 ** 2, 16 * 1024 ** 4],
  cpu: [1, 100_000],
  tasks: [1, 1_000_000],
  files: [16, 1_000_000],
};

/** `LIMIT memory=512M cpu=150% tasks=512 files=4096`: what all processes of the app, or for files each, may use. */
export function readLimit(instruction: Instruction, draft: Draft): void {
  const { words } = readArguments(instruction, draft, {});
  if (words.length === 0) missing(instruction, EXPECTED);
  for (const word of words) {
    const [name, at] = split(instruction, word);
    if (draft.image.limits[name] !== undefined) {
      fail(instruction, word.start, word.end, { code: "duplicate", message: `second limit of ${name}` });
    }
    draft.image.limits = { ...draft.image.limits, [name]: read(instruction, name, at) };
  }
}

function split(instruction: Instruction, word: Argument): [Name, Argument] {
  const equals = word.value.indexOf("=");
  if (equals < 0) badValue(instruction, word, `${quote(word.value)} has no value`, { expected: EXPECTED });
  const name = oneOf(instruction, { ...word, value: word.value.slice(0, equals) }, "limit", NAMES);
  return [name, { ...word, value: word.value.slice(equals + 1) }];
}

function read(instruction: Instruction, name: Name, at: Argument): number {
  const [least, most] = RANGES[name];
  const value = name === "memory" ? bytesOf(at.value) : name === "cpu" ? percentOf(at.value) : countOf(at.value);
  if (value !== undefined && value >= least && value <= most) return value;
  const expected = {
    memory: "bytes from 8M to 16T, such as 512M or 2G",
    cpu: "percent of one processor, such as 50% or 200%",
    tasks: "processes and threads, 1 or more",
    files: "open files of one process, 16 or more",
  }[name];
  return badValue(instruction, at, `bad ${name} ${quote(at.value)}`, { expected });
}

function bytesOf(text: string): number | undefined {
  const [, number, unit = ""] = /^(\d{1,15})([KMGT]?)$/.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) * (UNITS[unit] ?? 1);
}

function percentOf(text: string): number | undefined {
  const [, number] = /^(\d{1,6})%$/.exec(text) ?? [];
  return number === undefined ? undefined : Number(number);
}

function countOf(text: string): number | undefined {
  return /^\d{1,7}$/.test(text) ? Number(text) : undefined;
}
