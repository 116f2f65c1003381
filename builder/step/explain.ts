import type { Cache } from "../cache/cache.ts";
import { fromBinary } from "../tree/bytes.ts";
import type { ReadContent, StepInputs } from "./inputs.ts";

/** One step of a recipe's last build, kept so that the next one can say what moved. */
export interface LastStep {
  section: string;
  inputs: StepInputs;
}

export interface LastBuild {
  steps: LastStep[];
}

/** The last build's step that this one was: the same instruction wherever it stood, else the one in its place. */
export function sameStep(last: LastBuild | undefined, index: number, now: StepInputs): StepInputs | undefined {
  const isSame = (step: LastStep | undefined) =>
    JSON.stringify(step?.inputs.instruction) === JSON.stringify(now.instruction);
  const inPlace = last?.steps[index - 1];
  return (isSame(inPlace) ? inPlace : (last?.steps.find(isSame) ?? inPlace))?.inputs;
}

/**
 * Why a step was not found in the cache, compared with the same step of the last build: the one input that moved first.
 * `earlier` is the nearest step before it that was made anew (from 1), if there is one.
 */
export async function explainMiss(
  cache: Cache,
  before: StepInputs | undefined,
  now: StepInputs,
  earlier: number | undefined,
): Promise<string> {
  if (before === undefined) return "never built";
  if (JSON.stringify(before.instruction) !== JSON.stringify(now.instruction)) return "instruction changed";
  if (before.workdir !== now.workdir) return `WORKDIR changed: ${before.workdir} -> ${now.workdir}`;
  if (before.user !== now.user) return `USER changed: ${before.user || "root"} -> ${now.user || "root"}`;
  const variable = changedName(before.env, now.env);
  if (variable !== undefined) return `variable ${variable} changed`;
  const read = changedName(before.reads, now.reads);
  if (read !== undefined) return `${read}: ${await changedPaths(cache, before.reads[read], now.reads[read])}`;
  if (before.below !== now.below) return earlier === undefined ? "base changed" : `step ${earlier} before it changed`;
  if (before.epoch !== now.epoch) return `SOURCE_DATE_EPOCH changed: ${before.epoch} -> ${now.epoch}`;
  if (before.format !== now.format || before.architecture !== now.architecture) return "made by another builder";
  return "its result is no longer in the cache";
}

function changedName(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): string | undefined {
  return [...new Set([...Object.keys(now), ...Object.keys(before)])].sort().find((name) => before[name] !== now[name]);
}

async function changedPaths(cache: Cache, before: string | undefined, now: string | undefined): Promise<string> {
  const old = before === undefined ? undefined : await cache.get<ReadContent>("reads", before);
  const fresh = now === undefined ? undefined : await cache.get<ReadContent>("reads", now);
  if (old === undefined || fresh === undefined) return "changed";
  const changes = describeChanges(old, fresh);
  return changes.length > 1 ? `${changes[0]} (and ${changes.length - 1} more)` : (changes[0] ?? "changed");
}

/** `src/server.mjs changed`, `a added`, `b removed`, in path order. */
export function describeChanges(before: ReadContent, now: ReadContent): string[] {
  const paths = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
  return paths.flatMap((path) => {
    const name = fromBinary(path) || ".";
    if (!(path in before)) return [`${name} added`];
    if (!(path in now)) return [`${name} removed`];
    return before[path] === now[path] ? [] : [`${name} changed`];
  });
}
