import { type Context, switchOf } from "../operations/context.ts";
import { forgetSnapshots, protectedOf } from "./forget.ts";
import { chooseDisplaced, refuseFullPool } from "./keep.ts";

/**
 * Before anything is touched: is there room for the snapshot that this operation takes, on the disk and in the quota
 * of the app? The oldest that hostd took by itself go first, where that is enough; else the operation is refused.
 */
export async function room(context: Context): Promise<string> {
  const { engine, app } = context;
  const { node, settings, journal } = engine;
  if (switchOf(context).snapshot === undefined) return "no data yet";
  refuseFullPool((await node.dataStore()).pool);
  const limits = settings.snapshots;
  const [cost, free] = [await node.snapshotCost(app, limits.bytes !== undefined), await node.freeBytes()];
  const measured = limits.bytes !== undefined || cost > free ? await node.snapshotSizes(app) : {};
  const sizes = Object.fromEntries(Object.entries(measured).map(([id, size]) => [id, size.exclusive ?? size.bytes]));
  const kept = protectedOf(engine, app);
  const displaced = chooseDisplaced({ snapshots: journal.snapshots.list(app), kept, sizes, cost, free, limits });
  await forgetSnapshots(context, displaced);
  if (displaced.length > 0) context.note(`forgot snapshots ${displaced.join(", ")} to make room for the next one`);
  return displaced.length === 0 ? "room for a snapshot" : `forgot ${displaced.join(", ")}`;
}
