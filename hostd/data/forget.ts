import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import type { Context } from "../operations/context.ts";
import { parsePlan } from "../operations/plan.ts";
import { rollbackTarget } from "../rollback/plan.ts";
import { situationOf } from "../switch/situation.ts";
import { NodeError } from "../system/failure.ts";
import { protectedSnapshots } from "./keep.ts";

/** The one step of forgetting. */
export async function forget(context: Context): Promise<string> {
  const ids = context.plan.forget ?? [];
  await forgetSnapshots(context, ids);
  return ids.join(", ");
}

/**
 * Takes them off the record before their bytes, so that what is on record is always whole; all at once, so that nobody
 * begins to read the last while the first is deleted. Those that were not come to stay.
 */
export async function forgetSnapshots({ engine, id: operation, app }: Context, ids: readonly string[]): Promise<void> {
  const { transaction, snapshots } = engine.journal;
  transaction(() => {
    for (const id of ids) snapshots.leave(operation, app, id);
  });
  for (const [index, id] of ids.entries()) {
    try {
      await engine.node.forget(app, id);
    } catch (error) {
      const isWhole = error instanceof NodeError && error.code === "data-in-use";
      for (const other of ids.slice(isWhole ? index : index + 1)) snapshots.stay(app, other);
      throw error;
    }
    snapshots.remove(app, id, operation);
  }
}

/** Goes on where a crash, or a disk that failed, left bytes of snapshots that are not there any more. */
export async function finishForgetting({ node, journal }: Engine, app: string): Promise<void> {
  for (const id of journal.snapshots.leaving(app)) {
    await node.forget(app, id);
    journal.snapshots.remove(app, id);
  }
}

/** Snapshots of an app that nothing but somebody's own word takes, each with why. */
export function protectedOf(engine: Engine, app: string): ReadonlyMap<string, string> {
  const { generations, slots, snapshots } = engine.journal;
  const pinned = new Set(slots.list(app).flatMap((slot) => (slot.pinned === undefined ? [] : [slot.image])));
  const isPinned = (number: number) => pinned.has(generations.get(app, number)?.image ?? "sha256:");
  const known = snapshots.list(app);
  return protectedSnapshots({
    snapshots: known,
    target: rollbackTarget(situationOf(engine, app))?.number,
    pinned: known.flatMap(({ generation }) => generation ?? []).filter(isPinned),
    inUse: neededByOperations(engine, app),
  });
}

/** Snapshots that operations under way take, go back to, or may have to forget again. */
export function neededByOperations({ journal }: Engine, app: string): (string | undefined)[] {
  return journal.operations.unfinished(app).flatMap(({ plan, id }) => {
    const change = parsePlan(plan, id).switch;
    return [change?.snapshot, change?.restore, change?.kept];
  });
}

/** Those that hostd does not choose to forget now: the protected ones, and what is being read, which nobody can forget. */
export function leftAlone(engine: Engine, app: string): ReadonlyMap<string, string> {
  const read = engine.node.snapshotsBeingRead(app).map((id): [string, string] => [id, "it is being read"]);
  return new Map([...read, ...protectedOf(engine, app)]);
}

/** Refuses to forget what is not there, what is being read (`busy`), and what is protected unless that is insisted on. */
export function refuseForgetting(engine: Engine, app: string, id: string, force: boolean): void {
  engine.journal.snapshots.require(app, id);
  if (engine.node.snapshotsBeingRead(app).includes(id)) {
    throw new HostdError("busy", `snapshot ${id} of ${app}: it is being read`, {
      hint: "hostd snapshot verify, or the background, reads it: try again after that",
    });
  }
  const why = protectedOf(engine, app).get(id);
  if (why === undefined || force) return;
  throw new HostdError("protected", `snapshot ${id} of ${app} is kept: ${why}`, {
    hint: `hostd snapshot forget ${app} ${id} --force forgets it all the same`,
  });
}
