import { toFailureDocument } from "../../manifests/failure.ts";
import type { Engine } from "../engine.ts";
import type { Pace } from "../stage/pace.ts";
import { finishForgetting, leftAlone, neededByOperations } from "./forget.ts";
import { chooseDue } from "./keep.ts";
import { unrecorded, verifySnapshot } from "./verify.ts";

/** Does something; what hinders it is told under its name, where it is not thrown. */
export type Attempt = (what: string, work: () => unknown) => Promise<void>;

/** `app snapshot` of what was due at an earlier look. */
export type Seen = ReadonlySet<string>;

/**
 * One look at the snapshots of all apps, to be repeated: begins to forget those whose time is over. A clock that jumps
 * must not cost data, so one is forgotten only when it was due at the look before this one as well. Answers what was
 * due now. An app that is busy has its turn at the next look; one whose snapshots cannot go, which `attempt` tells,
 * hinders no other.
 */
export async function careForSnapshots(engine: Engine, before: Seen, attempt: Attempt = atOnce): Promise<Seen> {
  const due = new Set<string>();
  for (const { app } of engine.journal.apps.list()) {
    const ids = chooseDue(engine.journal.snapshots.list(app), leftAlone(engine, app), engine.clock.date());
    for (const id of ids) due.add(`${app} ${id}`);
    const over = ids.filter((id) => before.has(`${app} ${id}`));
    if (over.length > 0) expire(engine, app, over);
    await attempt(`snapshots of ${app} not forgotten`, () => finishForgetting(engine, app));
  }
  return due;
}

const atOnce: Attempt = async (_what, work) => {
  await work();
};

/** Reads the snapshots of all apps that nobody has read yet; one that an operation needs, when that is over. */
export async function readNewSnapshots(engine: Engine, pace: Pace): Promise<void> {
  for (const { app } of engine.journal.apps.list()) await recordNew(engine, app, pace);
}

function expire(engine: Engine, app: string, snapshots: string[]): void {
  try {
    engine.submit.forget({ app, by: "hostd", snapshots, cause: "their time is over" });
  } catch (error) {
    engine.log("info", "snapshots not forgotten yet", { app, ...toFailureDocument(error) });
  }
}

async function recordNew(engine: Engine, app: string, pace: Pace): Promise<void> {
  for (const id of unrecorded(engine.journal.snapshots.list(app))) {
    if (engine.closing.aborted) return;
    if (neededByOperations(engine, app).includes(id)) continue;
    try {
      await verifySnapshot(engine, app, id, pace);
    } catch (error) {
      if (!engine.closing.aborted) engine.log("warn", "snapshot not read", { app, id, ...toFailureDocument(error) });
    }
  }
}
