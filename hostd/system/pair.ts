import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeDurably } from "../../effects/durable.ts";
import { hasErrno, unlessMissing } from "../../effects/errno.ts";
import { NodeError } from "./failure.ts";
import { askHolder } from "./holder.ts";
import type { NodeOptions } from "./node.ts";
import { appsIn, pathsOf } from "./paths.ts";
import { readRecords } from "./records.ts";

// A state directory and the run directory that has its apps name each other, so that neither a copy of the one nor what
// somebody else has in the other is taken for the pair.

/** In the state directory, the name of the run directory. */
export const PAIR = "run-directory";

type Pair = Pick<NodeOptions, "stateDirectory" | "runDirectory">;

/**
 * Pairs a state directory with a run directory. Refuses (`other-run-directory`) to part either of them from another one
 * while apps live there: nobody would find them, and each would be started a second time on the same data.
 */
export async function pairDirectories(pair: Pair): Promise<void> {
  const { stateDirectory, runDirectory } = pair;
  const before = await lastRunDirectory(stateDirectory);
  const owner = await ownerOf(runDirectory);
  if (before !== undefined && before !== runDirectory)
    await refuseLiving({ stateDirectory, runDirectory: before }, pair);
  if (owner !== undefined && owner !== stateDirectory)
    await refuseLiving({ stateDirectory: owner, runDirectory }, pair);
  if (before === runDirectory) return;
  try {
    await writeFile(inRun(runDirectory), `${stateDirectory}\n`);
    await writeDurably(inState(stateDirectory), `${runDirectory}\n`);
  } catch (error) {
    if (!hasErrno(error, "ENOSPC", "EDQUOT")) throw error; // hostd starts on a full disk, and the next start pairs them
  }
}

/** The run directory that is paired with a state directory; undefined where there is none, as after a reboot. */
export async function lastRunDirectory(stateDirectory: string): Promise<string | undefined> {
  const run = await readName(inState(stateDirectory));
  return run !== undefined && (await readName(inRun(run))) === stateDirectory ? run : undefined;
}

async function ownerOf(runDirectory: string): Promise<string | undefined> {
  const state = await readName(inRun(runDirectory));
  return state !== undefined && (await readName(inState(state))) === runDirectory ? state : undefined;
}

async function refuseLiving(there: Pair, asked: Pair): Promise<void> {
  const living = await livingIn(there);
  if (living.length === 0) return;
  const options = ({ stateDirectory, runDirectory }: Pair) => `--state ${stateDirectory} --run ${runDirectory}`;
  throw new NodeError(
    "other-run-directory",
    `expected ${options(there)}, where ${living.join(", ")} lives, got ${options(asked)}`,
    { hint: "hostd serve with these two goes on with what lives there, hostd reset with them ends it" },
  );
}

/** Apps of which a process is there, or what holds their sockets. */
async function livingIn(pair: Pair): Promise<string[]> {
  const paths = pathsOf(pair);
  const living: string[] = [];
  for (const app of await appsIn(paths.appsInRun)) {
    const held = (await askHolder(paths, app, ["status"])) !== undefined;
    if (held || (await readRecords(paths, app)).some(({ exited }) => exited === undefined)) living.push(app);
  }
  return living;
}

async function readName(file: string): Promise<string | undefined> {
  const text = await unlessMissing(readFile(file, "utf8"));
  return text !== undefined && /^\/[^\0]*\n$/.test(text) ? text.slice(0, -1) : undefined;
}

function inState(stateDirectory: string): string {
  return join(stateDirectory, PAIR);
}

function inRun(runDirectory: string): string {
  return join(runDirectory, "state-directory");
}
