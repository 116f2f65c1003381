import { readFile, writeFile } from "node:fs/promises";
import { unlessMissing } from "../../effects/errno.ts";
import { SIGTERM } from "../../manifests/signal.ts";
import type { StartSpec } from "./node.ts";
import type { Paths } from "./paths.ts";

/** Milliseconds that an app may take to end, unless its image says otherwise. */
export const DEFAULT_STOP_TIMEOUT = 10_000;

/**
 * Leaves on file how a generation is asked to end, before it starts: the number of the signal and the milliseconds it may
 * take. Whoever ends it reads that: its holder, its steward (process.pl), or hostd where both are gone.
 */
export async function leaveEnding(paths: Paths, spec: StartSpec): Promise<void> {
  const { stopSignal = SIGTERM.number, stopTimeout = DEFAULT_STOP_TIMEOUT } = spec;
  await writeFile(paths.ending(spec.app, spec.generation), `${stopSignal} ${stopTimeout}\n`);
}

/** The signal that asks a generation to end; SIGTERM where nobody left word. */
export async function stopSignalLeft(paths: Paths, app: string, generation: number): Promise<number> {
  const text = await unlessMissing(readFile(paths.ending(app, generation), "utf8"));
  return Number(/^([1-9]\d?) \d+$/m.exec(text ?? "")?.[1] ?? SIGTERM.number);
}
