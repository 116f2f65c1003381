import type { SnapshotCheck } from "../../manifests/care.ts";
import type { SnapshotDocument } from "../../manifests/snapshot.ts";
import type { Engine } from "../engine.ts";
import { type Pace, untilClosing } from "../stage/pace.ts";

/**
 * Reads a snapshot whole and compares it with what was recorded of it. Where nothing was recorded yet this reading is
 * the record, and the answer says so: it proves nothing about the time before. That it differs stays on record until a
 * reading is the same again, and until then it is not restored (rollback/plan.ts).
 */
export async function verifySnapshot(engine: Engine, app: string, id: string, pace?: Pace): Promise<SnapshotCheck> {
  engine.journal.snapshots.require(app, id);
  const found = await engine.node.digestSnapshot(app, id, untilClosing(engine.closing, pace));
  const at = engine.clock.date().toISOString();
  const recorded = engine.journal.snapshots.require(app, id).digest; // another reading may have recorded it meanwhile
  if (recorded === undefined) engine.journal.snapshots.record(app, id, { ...found, at });
  const outcome = recorded === undefined ? "recorded" : recorded.value === found.value ? "same" : "differs";
  const wasDamaged = recorded?.damaged !== undefined;
  if (wasDamaged !== (outcome === "differs")) engine.journal.snapshots.damage(app, id, wasDamaged ? undefined : at);
  if (outcome === "differs") {
    const detail = { id, recorded: recorded?.value, found: found.value };
    engine.journal.events.append("snapshot.damaged", { app, detail });
    engine.log("error", "snapshot damaged", { app, ...detail });
  }
  return { schema: 1, app, id, at, outcome, ...(recorded === undefined ? {} : { recorded }), found: { ...found, at } };
}

/** Snapshots that nobody has read since they were taken, the newest first. */
export function unrecorded(snapshots: readonly SnapshotDocument[]): string[] {
  return snapshots.filter(({ digest }) => digest === undefined).map(({ id }) => id);
}
