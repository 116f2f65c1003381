import type { Engine } from "../engine.ts";
import type { Running } from "../system/node.ts";

// A reload makes a new generation in the process of the one before: that process keeps the number it was started as.

/** The numbers that the process of a generation may have on the node. */
export function processNumbers(engine: Pick<Engine, "journal">, app: string, number: number): number[] {
  const process = engine.journal.generations.get(app, number)?.process;
  return process === undefined || process === number ? [number] : [process, number];
}

/** The newest process of a generation, living or ended; undefined where none was ever started. */
export async function processOf(engine: Engine, app: string, number: number): Promise<Running | undefined> {
  const numbers = processNumbers(engine, app, number);
  return (await engine.node.running(app)).findLast(({ generation }) => numbers.includes(generation));
}

/** The living process of a generation. */
export async function runningOf(engine: Engine, app: string, number: number): Promise<Running | undefined> {
  const numbers = processNumbers(engine, app, number);
  const all = await engine.node.running(app);
  return all.findLast(({ generation, exited }) => numbers.includes(generation) && exited === undefined);
}

/** The number by which the node knows a generation's newest process. */
export async function processNumber(engine: Engine, app: string, number: number): Promise<number> {
  if (processNumbers(engine, app, number).length === 1) return number;
  return (await processOf(engine, app, number))?.generation ?? number;
}
