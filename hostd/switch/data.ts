import { canRead } from "../data/compatible.ts";
import { ASKED_FOR } from "../data/keep.ts";
import { describeLeftover, tellLeftovers } from "../data/leftovers.ts";
import type { Engine } from "../engine.ts";
import { type Context, launchable, switchOf } from "../operations/context.ts";
import { hasData } from "./launch.ts";
import { requireApp } from "./plan.ts";

// Data on its own axis: snapshots before, restores when asked, and what a revert does with data written meanwhile.

/** Why no snapshot is taken of data that is there, in the history. */
export const BOTH_WRITE = "none: two versions write the data";
export const UNKNOWN_FORMAT = "none: nobody knows the format of the data";

export async function takeSnapshot(context: Context): Promise<string> {
  const { engine, app } = context;
  const plan = switchOf(context);
  const format = engine.journal.apps.get(app)?.data_format;
  if (plan.beside !== undefined) return BOTH_WRITE;
  if (!(await hasData(engine, app))) return "no data yet";
  if (plan.snapshot === undefined || format === undefined) return UNKNOWN_FORMAT;
  await take(context, plan.snapshot);
  const snapshot = {
    id: plan.snapshot,
    app,
    format,
    operation: context.id,
    ...(plan.from === undefined ? {} : { generation: plan.from }),
    consistency: plan.consistency ?? "stopped",
    ...keptUntil(context),
  };
  engine.journal.later(() => engine.journal.snapshots.add(snapshot)); // that the step began, and so under which name, is on disk
  return plan.snapshot;
}

/** One on record stays as it is; what lies under a name that the journal does not know is of an earlier journal. */
async function take({ engine, app }: Context, id: string): Promise<void> {
  if (engine.journal.snapshots.get(app, id) === undefined) await engine.node.snapshot(app, id);
}

/** Why the snapshot is taken, and until when it is kept: one asked for as asked, hostd's own for the usual time. */
function keptUntil({ engine, kind, plan }: Context) {
  const asked = kind === "snapshot";
  const reason = asked ? ASKED_FOR : `before generation ${plan.switch?.to}`;
  return { reason, expires: expiryOf(engine, asked ? plan.switch?.ttl : engine.settings.snapshots.ttl) };
}

function expiryOf(engine: Engine, ttl: number | undefined): string | undefined {
  return ttl === undefined ? undefined : new Date(engine.clock.date().getTime() + ttl).toISOString();
}

/** Nobody wrote since the snapshot: nothing would ever be taken back to it. */
export async function forgetSnapshot(context: Context): Promise<void> {
  const plan = switchOf(context);
  if (plan.snapshot === undefined || begun(context, "start") || begun(context, "again")) return;
  await context.engine.node.forget(context.app, plan.snapshot);
  context.engine.journal.snapshots.remove(context.app, plan.snapshot, context.id);
}

/** Rollback with data: the data as it is was snapshotted before, so it is kept under that name. */
export async function restoreAsked(context: Context): Promise<string> {
  const plan = switchOf(context);
  if (plan.restore === undefined) {
    const format = context.engine.journal.apps.get(context.app)?.data_format;
    if (format !== undefined) context.note(`kept the data as it is (format ${format})`);
    return "data kept";
  }
  const note = `took the data back to snapshot ${plan.restore}; what it was before is snapshot ${plan.snapshot}`;
  await restore(context, plan.restore, note);
  return plan.restore;
}

/**
 * The data part of a revert. Before the new generation was started nobody wrote but its hook: the snapshot comes back.
 * After that the data may hold what people entrusted to it: it stays, if the old version can read it; else it is kept
 * as a snapshot of its own and the one from before comes back. A restored rollback is always taken back whole. Where there
 * was no data before there is none again, but for what a job wrote that ran. Both steps that may change the data are
 * undone so, and a crash repeats it: what is back already stays as it is.
 */
export async function takeDataBack(context: Context): Promise<void> {
  const { engine, app } = context;
  const plan = switchOf(context);
  if (plan.makesData !== undefined && context.plan.run === undefined) return await setDataAside(context);
  if (plan.snapshot === undefined || engine.journal.snapshots.get(app, plan.snapshot) === undefined) return;
  if (engine.journal.apps.get(app)?.data_version === restoredFrom(context, plan.snapshot)) return;
  if (!begun(context, "start")) {
    if (await isTouched(context)) await restore(context, plan.snapshot, noteOfReturn(context));
    return;
  }
  const format = engine.journal.apps.get(app)?.data_format;
  const readable = plan.from === undefined || canRead(launchable(engine, app, plan.from).app, format);
  if (readable && plan.restore === undefined) {
    return context.note(`kept the data written meanwhile (format ${format}); snapshot ${plan.snapshot} is from before`);
  }
  await take(context, plan.kept);
  engine.journal.snapshots.add(keptData(context, format ?? 1));
  const why = readable ? "the rollback is taken back whole" : `the old version cannot read format ${format}`;
  const note = `took the data back to snapshot ${plan.snapshot}, since ${why}; the newer data is kept as snapshot ${plan.kept}`;
  await restore(context, plan.snapshot, note);
}

/** What a version that was never good made of it is nobody's basis, and must not lock out the next one by its format. */
async function setDataAside(context: Context): Promise<void> {
  const { journal, node } = context.engine;
  const { id: operation, app } = context;
  const { kept, image, version } = switchOf(context);
  const present = journal.apps.get(app)?.data_format;
  await node.setDataAside(app, kept);
  const isKept = (await node.snapshots(app)).some(({ id }) => id === kept);
  const format = present ?? requireApp(journal.slots.require(app, image)).data[0]?.format ?? 1;
  journal.transaction(() => {
    journal.apps.setData(operation, app, { format: undefined });
    if (!isKept || journal.snapshots.get(app, kept) !== undefined) return;
    journal.snapshots.add(keptData(context, format));
    context.note(`the app had no data before, and has none again; what ${version} wrote is kept as snapshot ${kept}`);
  });
}

function keptData({ engine, id, app, plan }: Context, format: number) {
  return {
    id: plan.switch?.kept ?? "",
    app,
    format,
    operation: id,
    generation: plan.switch?.to,
    consistency: "stopped" as const,
    expires: expiryOf(engine, engine.settings.snapshots.ttl),
    reason: `data of generation ${plan.switch?.to} when it was taken back`,
  };
}

/** That a restore was asked for is noted already, with a snapshot that goes now. */
function noteOfReturn(context: Context): string | undefined {
  const { restore: asked, snapshot } = switchOf(context);
  return asked === undefined ? undefined : `put the data back as it was before; snapshot ${snapshot} goes with that`;
}

async function restore(context: Context, id: string, note?: string): Promise<void> {
  const { journal, node } = context.engine;
  const { id: operation, app } = context;
  const snapshot = journal.snapshots.require(app, id);
  const version = restoredFrom(context, id);
  const left = await node.restore(app, id, version);
  journal.transaction(() => {
    journal.apps.setData(operation, app, { version, format: snapshot.format });
    journal.events.append("snapshot.restored", { app, operation, detail: { id, version } });
    if (note !== undefined) context.note(note);
    for (const one of left) context.note(describeLeftover(one));
  });
  tellLeftovers(context.engine, left);
}

/** The version of the data that an operation makes from a snapshot; its time tells it from one of the same number in an earlier journal. */
function restoredFrom({ engine, id }: Context, snapshot: string): string {
  const started = Date.parse(engine.journal.operations.get(id)?.started_at ?? "");
  return `${snapshot}-op${id}-${started.toString(36)}`;
}

/** Whether anything but the app itself may have changed the data: the migrate hook, or a restore that came to its end. */
async function isTouched(context: Context): Promise<boolean> {
  if (begun(context, "migrate")) return true;
  const { restore: asked } = switchOf(context);
  return asked !== undefined && (await context.engine.node.liveData(context.app)) === restoredFrom(context, asked);
}

function begun(context: Context, step: string): boolean {
  const steps = context.engine.journal.operations.steps(context.id);
  return steps.some(({ name, document }) => name === step && document.started !== undefined);
}
