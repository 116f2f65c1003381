import { toFailureDocument } from "../../manifests/failure.ts";
import { passGate, tellVerdict } from "../checks/gate.ts";
import { planConfig } from "../config/choose.ts";
import { realFiles } from "../config/files.ts";
import { formatAfter, migrates } from "../data/compatible.ts";
import { HostdError } from "../error.ts";
import { isAtFault } from "../health/decide.ts";
import { judgeGeneration, type Standing } from "../health/trial.ts";
import { type Context, END, launchable, switchOf } from "../operations/context.ts";
import { refuseOvertaken } from "../operations/overtaken.ts";
import type { SlotAction } from "../states.ts";
import type { Running } from "../system/node.ts";
import { doorOf, openGapMeter } from "./gap.ts";
import { runHook } from "./hooks.ts";
import { awaitJob, isJob, startJob, stopJob } from "./job.ts";
import { mountTried, startGeneration, stopGeneration } from "./launch.ts";
import { describeUnheld, limitsOf } from "./limits.ts";
import { noteConfig } from "./note-config.ts";
import { requireApp } from "./plan.ts";
import { processOf, runningOf } from "./process.ts";
import { endGeneration } from "./restart.ts";
import { planSlot } from "./situation.ts";

// The steps of a switch and what undoes each (hostd/states.ts). All of them may be repeated after a crash.

/**
 * Decides the switch to the version that was chosen or, in a deploy, just staged. One that runs already ends the
 * operation: asking again for what is there changes nothing.
 */
export async function plan(context: Context): Promise<string> {
  if (isConfigAlone(context)) return planConfigAlone(context);
  const image = context.plan.image ?? context.plan.stage?.found?.image;
  if (image === undefined) throw new HostdError("journal", `operation ${context.id}: expected a chosen version`);
  refuseOvertaken(context, image);
  const again = context.kind === "run" || (await isDown(context));
  const { plan: planned, note } = planSlot(context.engine, context.app, image, again);
  if (note !== undefined) context.note(note);
  if (planned === undefined) {
    const slot = context.engine.journal.slots.require(context.app, image);
    const isJob = requireApp(slot).job !== undefined;
    context.note(`${slot.version} ${isJob ? `ran already: hostd run ${context.app} runs it again` : "runs already"}`);
    return END;
  }
  context.savePlan({ switch: planned });
  return `generation ${planned.to}`;
}

/** Whether what is current has ended, so that it is to be started whatever is asked for; a job ends by itself. */
async function isDown({ engine, app }: Context): Promise<boolean> {
  const { current, hold } = engine.journal.apps.get(app) ?? {};
  if (current === undefined || hold !== undefined || isJob(engine, app, current)) return false;
  return (await runningOf(engine, app, current)) === undefined;
}

/** As it was asked for: what is said meanwhile is another change. */
function planConfigAlone(context: Context): string {
  const planned = planConfig(context.engine, context.app, context.plan);
  if (planned === undefined) {
    context.note("runs with that config already");
    return END;
  }
  context.savePlan({ switch: planned });
  return `generation ${planned.to}`;
}

export async function mount(context: Context): Promise<void> {
  const { engine, app } = context;
  const { slots, apps } = engine.journal;
  const plan = switchOf(context);
  const slot = slots.require(app, plan.image);
  context.wasSick = engine.board.health(app) === "unhealthy"; // from now on it may be what was seen of the new version
  engine.watch.leave(app);
  context.record(() => {
    if (slot.state !== "trial") slots.move(context.id, app, plan.image, "try");
    if (isConfigAlone(context)) return;
    apps.setTarget(context.id, app, { image: slot.image, version: slot.version, sequence: slot.sequence });
  });
  // All that could be missing is found out while the old generation runs.
  await realFiles(engine, app, requireApp(slot).config, engine.journal.generations.config(app, plan.config));
  noteConfig(context);
  await mountTried(engine, app, plan.image);
}

/** Ends the trial without success, and with it what it needed. */
export async function endTrial(context: Context): Promise<void> {
  const { engine, app } = context;
  const { from, image } = switchOf(context);
  const old = from === undefined ? undefined : launchable(engine, app, from);
  closeTrial(context);
  if (old?.slot.image !== image) await engine.node.unmountSlot(app, image);
  if (old !== undefined) return;
  await engine.node.removeHolder(app);
  engine.board.clear(app); // nothing is left that it could be true of
}

/** Writes that the trial ended without success. Only a version at fault is condemned and quarantined, and never the one that goes on running. */
export function closeTrial(context: Context): void {
  const { engine, app } = context;
  const { slots, quarantine, apps, operations, generations } = engine.journal;
  const plan = switchOf(context);
  const slot = slots.require(app, plan.image);
  const old = plan.from === undefined ? undefined : launchable(engine, app, plan.from);
  const condemned = isAtFault(context.failure) && old?.slot.image !== plan.image;
  const action: SlotAction = condemned ? "condemn" : slot.last_good_at === undefined ? "withdraw" : "reinstate";
  engine.journal.transaction(() => {
    if (slot.state === "trial") slots.move(context.id, app, plan.image, action);
    if (generations.get(app, plan.to)?.state === "trial") {
      generations.move(context.id, app, plan.to, isAtFault(context.failure) ? "condemn" : "withdraw");
    }
    const reason = operations.get(context.id)?.reason?.message ?? "failed its trial";
    if (condemned) quarantine.add(context.id, app, plan.image, reason);
    if (condemned) context.note(`quarantined ${slot.version}`);
    if (old !== undefined && !isConfigAlone(context)) {
      const { image, version, sequence } = old.slot;
      apps.setTarget(context.id, app, { image, version, sequence });
    }
  });
}

/** The first half of a start-first switch: the old generation goes on serving, on the same sockets. */
export async function beside(context: Context): Promise<string> {
  const plan = switchOf(context);
  if (plan.stopFirst !== undefined) context.note(`the old version stops first: ${plan.stopFirst}`);
  if (plan.beside === undefined) return "the old version stops first";
  beginGeneration(context);
  await startNew(context);
  return "both run";
}

/** The old generation is there before the new one goes, so that somebody always accepts; then its sockets are as before. */
export async function stopBeside(context: Context): Promise<void> {
  const { engine, app } = context;
  const plan = switchOf(context);
  if (plan.beside === undefined || plan.from === undefined) return;
  await startOld(context);
  if (engine.journal.generations.get(app, plan.to) !== undefined) await stopGeneration(engine, app, plan.to);
  await engine.node.ensureHolder(app, launchable(engine, app, plan.from).app.listen);
}

export async function prove(context: Context): Promise<string> {
  if (switchOf(context).beside === undefined) return "nothing runs beside";
  return await judgeNew(context, "beside");
}

/** Of a version that is sick, or gone back from, a failure is noted alone: it must be left even though it cannot drain. */
export async function drain(context: Context): Promise<void> {
  const { from, hold } = switchOf(context);
  if (from === undefined || hold !== undefined) return;
  try {
    await runHook(context, from, "drain", "drain-failed");
  } catch (error) {
    if ((!goesBack(context) && !context.wasSick) || context.signal.aborted) throw error;
    context.note(`left without a drain: ${toFailureDocument(error).message}`);
  }
}

export async function stop(context: Context): Promise<void> {
  const { engine, app } = context;
  const { from, hold, beside } = switchOf(context);
  engine.watch.leave(app);
  if (from === undefined) return;
  const { app: old } = launchable(engine, app, from);
  const door = hold === undefined ? doorOf(old) : undefined;
  if (door !== undefined && context.gap === undefined) {
    context.gap = await openGapMeter(door, engine.clock, engine.closing);
  }
  await endGeneration(context, from);
  if (hold === undefined && beside === undefined) engine.board.clear(app); // what was seen of it is not so any more
}

/** Tells the gap once somebody is there again, the new version or the old one. */
export async function tellGap(context: Context): Promise<void> {
  const gap = await context.gap?.end();
  context.gap = undefined;
  if (gap === undefined) return;
  context.savePlan({ gap });
  context.note(`gap: ${gap} ms without a connection, since the app binds its port itself`);
}

/** Brings back the old generation, unless hostd kept it stopped before. */
export async function startOld(context: Context): Promise<void> {
  const { from, hold } = switchOf(context);
  if (from === undefined) return;
  if (hold !== undefined) return context.engine.journal.apps.hold(context.id, context.app, hold);
  await startGeneration(context.engine, context.app, from);
}

export async function migrate(context: Context): Promise<string> {
  const { engine, app } = context;
  beginGeneration(context);
  const plan = switchOf(context);
  const target = launchable(engine, app, plan.to).app;
  if (plan.beside !== undefined) return "nothing to migrate";
  const present = engine.journal.apps.get(app)?.data_format;
  if (!migrates(target, present, context.kind)) return "nothing to migrate";
  await runHook(context, plan.to, "migrate", "hook-failed");
  const format = formatAfter(target, present);
  if (format !== undefined) engine.journal.apps.setData(context.id, app, { format });
  return `data format ${format}`;
}

export async function config(context: Context): Promise<string> {
  const { from } = switchOf(context);
  const reloads = context.kind === "reload" && from !== undefined;
  beginGeneration(context, reloads ? await runningOf(context.engine, context.app, from) : undefined);
  const target = launchable(context.engine, context.app, switchOf(context).to);
  return `version ${target.generation.config}`;
}

/** The one moment at which the new generation becomes the current one: a crash before it leaves the old, after it the new. */
export async function flip(context: Context): Promise<void> {
  const { engine, app } = context;
  const { apps, generations } = engine.journal;
  const plan = switchOf(context);
  const state = apps.get(app);
  const format = formatAfter(launchable(engine, app, plan.to).app, state?.data_format);
  context.record(() => {
    if (format !== undefined) {
      apps.setData(context.id, app, { format, version: state?.data_version ?? "first" });
      generations.setData(context.id, app, plan.to, { version: state?.data_version ?? "first", format });
    }
    apps.hold(context.id, app, undefined);
    apps.point(context.id, app, { current: plan.to, previous: plan.from });
  });
}

/** The pointer leads to the old generation again, where it led to the new one. */
export function pointBack(context: Context): void {
  const { engine, app } = context;
  const { apps } = engine.journal;
  const plan = switchOf(context);
  if (apps.get(app)?.current !== plan.to) return;
  const before = plan.from === undefined ? undefined : previousOf(context, plan.from);
  apps.point(context.id, app, { current: plan.from, previous: before });
}

export async function start(context: Context): Promise<string | undefined> {
  if (isJob(context.engine, context.app, switchOf(context).to)) return await startJob(context);
  const { beside } = switchOf(context);
  if (beside === undefined || !(await wasStarted(context))) await startNew(context);
  return undefined;
}

async function startNew(context: Context): Promise<void> {
  const { engine, app } = context;
  const { to } = switchOf(context);
  await startGeneration(engine, app, to);
  for (const text of describeUnheld(await limitsOf(engine, app, to))) context.note(text);
}

/** Beside the old one it goes last: once that is back. */
export async function stopNew(context: Context): Promise<void> {
  const { to, beside } = switchOf(context);
  if (isJob(context.engine, context.app, to)) return await stopJob(context);
  if (beside === undefined) await stopGeneration(context.engine, context.app, to);
}

export async function judge(context: Context): Promise<string> {
  const { beside, to } = switchOf(context);
  if (isJob(context.engine, context.app, to)) {
    const detail = await awaitJob(context);
    await passGate(context);
    return detail;
  }
  if (!(await wasStarted(context))) await startNew(context);
  return await judgeNew(context, beside === undefined ? "fresh" : "proven");
}

/** Also one that has ended: that is for the judge, and starting it again would hide it. A reboot forgets it. */
async function wasStarted(context: Context): Promise<boolean> {
  return (await processOf(context.engine, context.app, switchOf(context).to)) !== undefined;
}

async function judgeNew(context: Context, standing: Standing): Promise<string> {
  const { to } = switchOf(context);
  const verdict = await judgeGeneration(context.engine, {
    app: context.app,
    number: to,
    standing,
    signal: context.signal,
    report: context.report,
  });
  if (verdict.state === "healthy") {
    if (standing !== "beside") await tellGap(context);
    if (standing !== "proven") await passGate(context);
    return verdict.detail;
  }
  if (verdict.state === "pending") context.signal.throwIfAborted();
  throw new HostdError("unhealthy", `generation ${to} of ${context.app}: ${verdict.detail}`, {
    hint: `hostd failure ${context.id} shows its log and check results`,
  });
}

export async function ready(context: Context): Promise<void> {
  const { to } = switchOf(context);
  await runHook(context, to, "ready", "hook-failed");
  if (goesBack(context)) await runHook(context, to, "reverted", "hook-failed");
}

export async function commit(context: Context): Promise<void> {
  const { engine, app } = context;
  const { slots, generations, quarantine } = engine.journal;
  const plan = switchOf(context);
  const left = plan.from === undefined ? undefined : generations.get(app, plan.from);
  engine.journal.transaction(() => {
    if (slots.get(app, plan.image)?.state === "trial") slots.move(context.id, app, plan.image, "bless");
    if (generations.get(app, plan.to)?.state === "trial") generations.move(context.id, app, plan.to, "bless");
    if (plan.quarantine !== undefined && left !== undefined) {
      quarantine.add(context.id, app, left.image, plan.quarantine);
      context.note(`quarantined ${left.version}: ${plan.quarantine}`);
    }
    if (context.kind !== "rollback" && !isConfigAlone(context)) quarantine.supersede(context.id, app, plan.image);
  });
  await tellVerdict(context, "green");
}

/** Config is all that changes: the version that runs is not on trial for more than that. */
function isConfigAlone({ kind }: Context): boolean {
  return kind === "configure" || kind === "reload" || kind === "configure-host";
}

/** A rollback, also one of config alone. */
function goesBack({ kind, plan }: Context): boolean {
  return kind === "rollback" || plan.config !== undefined;
}

function beginGeneration(context: Context, process?: Running): void {
  const { journal } = context.engine;
  const plan = switchOf(context);
  const state = journal.apps.get(context.app);
  const format = state?.data_format;
  const generation = {
    app: context.app,
    number: plan.to,
    image: plan.image,
    version: plan.version,
    config: plan.config,
    data: format === undefined ? undefined : { version: state?.data_version ?? "first", format },
    process: process?.generation,
  };
  context.record(() => journal.generations.begin(context.id, generation));
}

function previousOf(context: Context, generation: number): number | undefined {
  return context.engine.journal.generations.goodBefore(context.app, generation)?.number;
}
