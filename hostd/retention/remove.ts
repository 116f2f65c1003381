import { forgetSnapshots } from "../data/forget.ts";
import { refuseNested } from "../data/room.ts";
import type { Context } from "../operations/context.ts";
import { stopGeneration } from "../switch/launch.ts";
import { snapshotInUse } from "../system/failure.ts";
import { forgetSecrets, removeGenerations, removeUnusedLayers } from "./prune.ts";

// The steps that take an app off the node. Its history stays, and so does the lowest sequence that is taken of it.

/** What would end the removal half way is found while nothing is gone yet. */
export async function removable(context: Context): Promise<void> {
  const { engine, app, plan } = context;
  if (plan.wipe !== true) return;
  await refuseNested(context);
  const [read] = engine.node.snapshotsBeingRead(app);
  if (read !== undefined) throw snapshotInUse(app, read);
}

export async function vacate(context: Context): Promise<void> {
  const { engine, app } = context;
  const { current } = engine.journal.apps.require(app);
  engine.watch.leave(app);
  if (current !== undefined) await stopGeneration(engine, app, current);
  await engine.node.removeHolder(app);
  engine.board.clear(app);
  const { apps, updateHolds, operations } = engine.journal;
  engine.journal.transaction(() => {
    apps.vacate(context.id, app);
    updateHolds.lift(app, operations.require(context.id).caller);
  });
}

export async function wipe(context: Context): Promise<string> {
  const { engine, app } = context;
  const { apps, snapshots } = engine.journal;
  if (context.plan.wipe !== true) {
    if (apps.get(app)?.data_format !== undefined)
      context.note(`its data is kept: hostd remove ${app} --data deletes it`);
    return "its data is kept";
  }
  await forgetSnapshots(
    context,
    snapshots.list(app).map(({ id }) => id),
  );
  await engine.node.removeData(app);
  apps.setData(context.id, app, { format: undefined, version: "first" });
  context.note("deleted its data and every snapshot of it");
  return "its data is deleted";
}

export async function clear(context: Context): Promise<string> {
  const { engine, app } = context;
  const slots = engine.journal.slots.list(app);
  for (const { image } of slots) {
    await engine.node.unmountSlot(app, image);
    engine.journal.slots.move(context.id, app, image, "collect");
    await removeGenerations(engine, app, image);
  }
  await removeUnusedLayers(engine);
  await forgetSecrets(engine);
  return `${slots.length} ${slots.length === 1 ? "version" : "versions"}`;
}
