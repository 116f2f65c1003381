import { shortDigest } from "../../manifests/digest.ts";
import { appOf, stopSignalOf } from "../../manifests/image.ts";
import type { AppStatus, JobRun, OperationKind } from "../../manifests/node.ts";
import { EXIT_BY_SIGNAL } from "../../manifests/signal.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { howRunEnded } from "../exit.ts";
import { type Context, launchable, switchOf } from "../operations/context.ts";
import { parsePlan } from "../operations/plan.ts";
import type { Running } from "../system/node.ts";
import { launch, stopGeneration } from "./launch.ts";
import { processOf } from "./process.ts";

// A job (docs/recipe.md, KIND job): started once by its own operation, judged by its end, and never started again by
// hostd. It outlives hostd as any app does; how it ended is asked of its launcher, whenever hostd is there again.

/** Kinds of operations that start a job; the others only say which version, config and data the next run has. */
const RUNS: ReadonlySet<OperationKind> = new Set(["activate", "deploy", "run"]);

/** Ends that somebody else gave it, besides by the signal that its image names for that: no version is at fault. */
const FROM_OUTSIDE: ReadonlySet<string> = new Set(["SIGTERM", "SIGKILL", "SIGINT", "SIGHUP"]);

/** How soon and how often it is looked at, milliseconds: after an eighth of the time that has passed, as in a trial. */
const LOOK = { least: 10, part: 1 / 8, most: 500 };

/** Characters of its output that the history keeps. */
const LOG_KEPT = 2_000;

/** Whether a generation's image is a job. */
export function isJob(engine: Engine, app: string, number: number): boolean {
  return launchable(engine, app, number).app.job !== undefined;
}

/**
 * Starts the job. That it may have been started is in the journal before it is: where no launcher knows of it after
 * that, it cannot be told whether it ran, and it is not started a second time.
 */
export async function startJob(context: Context): Promise<string> {
  const { engine, app, plan } = context;
  const { to } = switchOf(context);
  if (!RUNS.has(context.kind)) return "a job: not run";
  if ((await processOf(engine, app, to)) !== undefined) return "was started";
  if (plan.run !== undefined) throw interrupted(context, "hostd ended while it was being started");
  context.savePlan({ run: { started: engine.clock.date().toISOString() } });
  await launch(engine, app, to);
  return "started";
}

/**
 * Waits for the end of the job, writes down how it ended, and throws unless that is exit code 0. What it did may outlive
 * a power cut though this step need not: its end is on disk before anything else, or nobody could tell it any more.
 */
export async function awaitJob(context: Context): Promise<string> {
  const { engine, app } = context;
  const { job } = launchable(engine, app, switchOf(context).to).app;
  if (!RUNS.has(context.kind) || job === undefined) return "a job: not run";
  engine.board.clear(app);
  engine.board.setHealth(app, context.kind === "run" ? healthOfJob(engine, app) : "judging");
  if (context.plan.run?.ended === undefined) {
    const run = await untilEnded(context, job.timeout);
    engine.journal.transaction(() => context.savePlan({ run }));
  }
  await engine.node.removeHolder(app); // nothing of it runs, listens or waits until the next run
  return judgeRun(context, context.plan.run ?? {});
}

/** Takes a run back: what still runs is ended, and that is written down as well. */
export async function stopJob(context: Context): Promise<void> {
  const { engine, app, plan } = context;
  const { to } = switchOf(context);
  await stopGeneration(engine, app, to);
  const process = await processOf(engine, app, to);
  if (plan.run !== undefined && plan.run.ended === undefined && process?.exited !== undefined) {
    context.savePlan({ run: await describeRun(context, process, false) });
  }
  await engine.node.removeHolder(app);
}

async function untilEnded(context: Context, timeout: number): Promise<JobRun> {
  const { engine, app, signal } = context;
  const { to } = switchOf(context);
  const begun = engine.clock.now();
  let overdue = false;
  for (;;) {
    const process = await processOf(engine, app, to);
    if (process === undefined) throw interrupted(context, "the machine went down under it");
    if (process.exited !== undefined) return await describeRun(context, process, overdue);
    signal.throwIfAborted();
    const passed = engine.clock.now() - begun;
    overdue = passed > timeout;
    if (overdue) await engine.node.stop(app, to, launchable(engine, app, to).app.stopTimeout);
    context.report(`the job runs, for ${Math.floor(passed / 1_000)} s`);
    await engine.clock.sleep(Math.min(LOOK.most, Math.max(LOOK.least, passed * LOOK.part)), signal);
  }
}

async function describeRun({ engine, app }: Context, { generation, startedAt, exited }: Running, overdue: boolean) {
  const { code, signal, oom, at } = exited ?? {};
  return {
    started: startedAt,
    ...(at === undefined ? {} : { ended: at }),
    ...(code === undefined ? {} : { exitCode: code }),
    ...(signal === undefined ? {} : { signal }),
    ...(oom === undefined ? {} : { oom }),
    ...(overdue ? { timedOut: true as const } : {}),
    log: (await engine.node.logs(app, generation)).slice(-LOG_KEPT),
  };
}

function judgeRun(context: Context, run: Partial<JobRun>): string {
  const { exitCode, signal, oom } = run;
  const how = howRunEnded(run);
  if (exitCode === 0 && run.timedOut === undefined) return how;
  const { slot } = launchable(context.engine, context.app, switchOf(context).to);
  const byAsking = exitCode === EXIT_BY_SIGNAL + stopSignalOf(slot.config).number;
  const outside = oom === undefined && (byAsking || FROM_OUTSIDE.has(signal ?? ""));
  if (run.timedOut === undefined && (exitCode === undefined || outside)) throw interrupted(context, how);
  throw new HostdError("job-failed", `${context.app} ${switchOf(context).version}: ${how}`, {
    hint: `hostd changes ${context.id} shows the end of what it printed, hostd failure ${context.id} all that was kept`,
  });
}

/** It may have done anything up to all of its work; whether it is to run again is for somebody who knows that work. */
function interrupted(context: Context, why: string): HostdError {
  const { app, kind, id } = context;
  const { image, version } = switchOf(context);
  const again = kind === "run" ? `hostd run ${app}` : `hostd activate ${app} ${shortDigest(image)}`;
  return new HostdError("job-interrupted", `${app} ${version} did not end by itself: ${why}`, {
    hint: `how far it came is not known, and it is not run again by itself: hostd changes ${id}, then ${again}`,
  });
}

/** The last run of a job, however it ended; undefined where no version here is one: each status asks, of every app. */
export function lastRunOf({ journal }: Engine, app: string): AppStatus["lastRun"] {
  if (!journal.slots.list(app).some(({ config }) => appOf(config)?.job !== undefined)) return undefined;
  const id = journal.tally.lastRun(app);
  const operation = id === undefined ? undefined : journal.operations.get(id);
  if (operation === undefined) return undefined;
  const { run, switch: plan } = parsePlan(operation.plan, operation.id);
  if (run === undefined || plan === undefined) return undefined;
  const { id: number, state } = operation;
  return { ...run, operation: number, generation: plan.to, version: plan.version, state };
}

/** A job is well unless the last of its runs that ended failed: until one succeeds, whatever was changed since. */
export function healthOfJob({ journal }: Engine, app: string): "healthy" | "unhealthy" {
  const id = journal.tally.lastEndedRun(app);
  return id !== undefined && journal.operations.get(id)?.state === "failed" ? "unhealthy" : "healthy";
}
