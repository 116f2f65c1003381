import type { Engine } from "../engine.ts";

/** Newest generations of an app whose config and log stay, whatever became of them. */
const KEPT = 32;

/**
 * Removes config and logs of generations that nothing leads back to: not those of the newest, of what runs, whichever
 * generation's process that is, and of the one before it. The journal keeps what they were.
 */
export async function forgetGenerations({ journal, node }: Pick<Engine, "journal" | "node">): Promise<void> {
  for (const { app, current, previous } of journal.apps.list()) {
    const newestFirst = (await node.generations(app)).sort((one, other) => other - one);
    const process = current === undefined ? undefined : journal.generations.get(app, current)?.process;
    const kept = new Set([current, process, previous, ...newestFirst.slice(0, KEPT)]);
    for (const number of newestFirst) if (!kept.has(number)) await node.removeGeneration(app, number);
  }
}
