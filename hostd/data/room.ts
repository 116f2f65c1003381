import { HostdError } from "../error.ts";
import { type Context, launchable, switchOf } from "../operations/context.ts";
import { BOTH_WRITE, UNKNOWN_FORMAT } from "../switch/data.ts";
import { hasData } from "../switch/launch.ts";
import { requireApp } from "../switch/plan.ts";
import { canRead, formatAfter, migrates } from "./compatible.ts";
import { forgetSnapshots, leftAlone } from "./forget.ts";
import { chooseDisplaced, refuseFullPool } from "./keep.ts";

/**
 * Before anything is touched: would the snapshot that this operation takes hold all of the data, and is there room for it
 * and for the way back from it, on the disk and in the quota of the app? The oldest that hostd took by itself go first,
 * where that is enough; else the operation is refused.
 */
export async function room(context: Context): Promise<string> {
  const { engine, app } = context;
  const { node, settings, journal } = engine;
  const change = switchOf(context);
  if (change.beside !== undefined) return BOTH_WRITE;
  if (!(await hasData(engine, app))) {
    context.savePlan({ switch: { ...change, makesData: true } });
    return "no data yet";
  }
  if (change.snapshot === undefined) return UNKNOWN_FORMAT;
  await refuseNested(context);
  refuseFullPool((await node.dataStore()).pool);
  const { snapshots: limits, reserve } = settings;
  const copies = copiesBack(context);
  const isExact = limits.bytes !== undefined || copies > 0;
  const cost = await node.snapshotCost(app, isExact ? Number.POSITIVE_INFINITY : reserve);
  const [wayBack, free] = [cost * copies, await node.freeBytes()];
  const isShort = cost > 0 && cost + wayBack + reserve > free;
  const measured = limits.bytes !== undefined || isShort ? await node.snapshotSizes(app) : {};
  const sizes = Object.fromEntries(Object.entries(measured).map(([id, size]) => [id, size.exclusive ?? size.bytes]));
  const kept = leftAlone(engine, app);
  const snapshots = journal.snapshots.list(app);
  const displaced = chooseDisplaced({ app, snapshots, kept, sizes, cost, wayBack, free, reserve, limits });
  await forgetSnapshots(context, displaced);
  if (displaced.length > 0) context.note(`forgot snapshots ${displaced.join(", ")} to make room for the next one`);
  return displaced.length === 0 ? "room for a snapshot" : `forgot ${displaced.join(", ")}`;
}

/** What is mounted in the data, or a subvolume in it, would be in no snapshot, and gone after a revert. */
export async function refuseNested({ engine, app }: Context): Promise<void> {
  const nested = await engine.node.nestedInData(app);
  if (nested.length === 0) return;
  const message = `data of ${app}: expected files and directories alone, found a mount or subvolume at ${nested.join(", ")}`;
  throw new HostdError("data-nested", message, {
    hint: "no snapshot would hold what is in it: move that into a plain directory, then umount it, or btrfs subvolume delete it",
    details: { nested },
  });
}

/** Copies of the data that taking the operation back may make besides (takeDataBack): the newer data kept, the older put back. */
function copiesBack(context: Context): number {
  const { engine, app, kind } = context;
  if (kind === "snapshot") return 0;
  const { image, from, restore } = switchOf(context);
  const present = engine.journal.apps.get(app)?.data_format;
  const next = requireApp(engine.journal.slots.require(app, image));
  const old = from === undefined ? undefined : launchable(engine, app, from).app;
  if (restore !== undefined || (old !== undefined && !canRead(old, formatAfter(next, present)))) return 2;
  return migrates(next, present, kind) ? 1 : 0;
}
