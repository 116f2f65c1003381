import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { writeDurably } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import { withLock } from "../../effects/lock.ts";
import { parseDocument } from "../../manifests/document.ts";
import { Failure } from "../../manifests/failure.ts";
import { parseRollout, type Rollout } from "../../manifests/rollout.ts";
import { nearest } from "../../terminal/nearest.ts";
import { FleetError } from "../error.ts";

// Records of rollouts in the operator's home, one directory each: what it did so far, and what somebody decided about it.

const decisionSchema = z.strictObject({
  schema: z.literal(1),
  verdict: z.enum(["approve", "reject"]),
  /** What is approved: an action of a wave. A rejection is of the whole rollout. */
  wave: z.int(),
  action: z.int(),
  by: z.string(),
  at: z.iso.datetime(),
  reason: z.string().optional(),
});

export type Decision = z.infer<typeof decisionSchema>;

const DECISION_LIMIT = 64 * 1024;

/** Milliseconds: whoever only looks holds the lock for less. */
const SOON = 1_000;

/** Records a new rollout under the next number of its product. Refuses a second one of a product while one has not ended. */
export async function createRollout(directory: string, rollout: Omit<Rollout, "id">): Promise<Rollout> {
  await mkdir(directory, { recursive: true });
  return await withLock(directory, async () => {
    const product = rollout.file.product;
    const { rollouts, damaged } = await listRollouts(directory);
    const unknown = damaged.find(({ id }) => id.replace(/-\d+$/, "") === product);
    if (unknown !== undefined) throw unknown.problem; // it may be under way
    const earlier = rollouts.filter(({ file }) => file.product === product);
    const open = earlier.find(({ state }) => state === "running");
    if (open !== undefined) {
      throw new FleetError("rollout-under-way", `${product}: rollout ${open.id} has not ended`, {
        hint: `ostler rollout resume ${open.id} goes on with it, ostler rollout reject ${open.id} ends it`,
      });
    }
    const number = Math.max(0, ...earlier.map(({ id }) => numberOf(id))) + 1;
    const created: Rollout = { ...rollout, id: `${product}-${number}` };
    await mkdir(join(directory, created.id), { recursive: true }); // a start that was killed here left it empty
    await saveRollout(directory, created);
    return created;
  });
}

export async function saveRollout(directory: string, rollout: Rollout): Promise<void> {
  const file = join(directory, rollout.id, "rollout.json");
  await writeDurably(file, `${JSON.stringify(rollout, undefined, 2)}\n`).catch((cause: Error) => {
    throw new FleetError("record", `${file}: ${cause.message}`, {
      hint: `what nodes are at goes on; once this is mended: ostler rollout resume ${rollout.id}`,
      cause,
    });
  });
}

/** All that can be read, newest first, and those that cannot. One that was never recorded, since its beginning was cut off, is none. */
export async function listRollouts(directory: string): Promise<Rollouts> {
  const names = (await unlessMissing(readdir(directory))) ?? [];
  const found: Rollouts = { rollouts: [], damaged: [] };
  for (const id of names) {
    try {
      const rollout = await load(directory, id);
      if (rollout !== undefined) found.rollouts.push(rollout);
    } catch (problem) {
      if (!(problem instanceof FleetError)) throw problem;
      found.damaged.push({ id, problem });
    }
  }
  found.rollouts.sort((one, other) => (one.started < other.started ? 1 : -1));
  return found;
}

export interface Rollouts {
  rollouts: Rollout[];
  /** Nothing is known of these but their names. */
  damaged: { id: string; problem: FleetError }[];
}

export async function requireRollout(directory: string, id: string): Promise<Rollout> {
  const found = /^[a-z0-9][a-z0-9._-]*$/.test(id) ? await load(directory, id) : undefined;
  if (found !== undefined) return found;
  const near = nearest(id, (await unlessMissing(readdir(directory))) ?? []);
  throw new FleetError("unknown-rollout", `expected a rollout's name, got ${JSON.stringify(id)}`, {
    hint: near === undefined ? "ostler rollout status lists them" : `did you mean ${near}?`,
  });
}

/** Runs `use` while nobody else of this machine goes on with the rollout. Throws `rollout-under-way` where somebody does. */
export async function whileRunning<T>(directory: string, id: string, use: () => Promise<T>): Promise<T> {
  try {
    return await withLock(join(directory, id), use, SOON);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== "locked") throw error;
    throw new FleetError("rollout-under-way", `rollout ${id}: another command goes on with it`, {
      hint: `ostler rollout status ${id}`,
    });
  }
}

/** Whether a command goes on with it. */
async function isRunning(directory: string, id: string): Promise<boolean> {
  return await withLock(join(directory, id), async () => false, 0).catch(() => true);
}

/** What somebody has to do for a rollout that no command goes on with; empty where one does. */
export async function hintForLeft(directory: string, id: string): Promise<string> {
  return (await isRunning(directory, id)) ? "" : `nobody goes on with it: ostler rollout resume ${id}`;
}

export async function decide(directory: string, id: string, decision: Decision): Promise<void> {
  await writeDurably(decisionFile(directory, id), `${JSON.stringify(decision)}\n`);
}

/** What somebody decided last. */
export async function decisionOf(directory: string, id: string): Promise<Decision | undefined> {
  const file = decisionFile(directory, id);
  const bytes = await unlessMissing(readFile(file));
  return bytes === undefined ? undefined : parseDocument(bytes, decisionSchema, file, DECISION_LIMIT);
}

async function load(directory: string, id: string): Promise<Rollout | undefined> {
  const file = join(directory, id, "rollout.json");
  const bytes = await unlessMissing(readFile(file));
  if (bytes === undefined) return undefined;
  try {
    return parseRollout(bytes, file);
  } catch (cause) {
    throw new FleetError("record", (cause as Error).message, {
      hint: `its record is damaged: put it back, or move ${join(directory, id)} away once no node is at it any more`,
      cause,
    });
  }
}

function decisionFile(directory: string, id: string): string {
  return join(directory, id, "decision.json");
}

function numberOf(id: string): number {
  return Number(id.slice(id.lastIndexOf("-") + 1));
}
