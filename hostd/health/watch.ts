import { toFailureDocument } from "../../manifests/failure.ts";
import type { Health } from "../board.ts";
import type { Engine } from "../engine.ts";
import { describeExit } from "../exit.ts";
import { hostApp, isOnTrial } from "../host/host.ts";
import type { OperationRow } from "../journal/operations.ts";
import { launchable } from "../operations/context.ts";
import { healthOfJob, isJob } from "../switch/job.ts";
import { processNumber, processOf } from "../switch/process.ts";
import { checkOfHost } from "../system/check-host.ts";
import { isAtFault, mayRestart, type Sample, SICK_AFTER, sickness } from "./decide.ts";
import { BESIDE, hinderedRestarts, pauseAfter } from "./hindered.ts";
import { nameOf } from "./judge.ts";

/** How often an app without checks is looked at, milliseconds. */
const PROCESS_INTERVAL = 2_000;

/** How often the host itself is looked at, milliseconds. */
const HOST_INTERVAL = 30_000;

/** Liveness after commit: one quiet loop per app at its checks' own interval. */
export interface Watch {
  /** Watches the current generation of an app, from now on; replaces an earlier watch. Does nothing for one on hold, or while the host is on trial. */
  follow(app: string): void;
  /** Stops watching: an operation has the app. */
  leave(app: string): void;
  close(): Promise<void>;
}

export function openWatch(engineOf: () => Engine): Watch {
  const loops = new Map<string, { controller: AbortController; done: Promise<void> }>();
  /** When a generation was started again: a version, and each time that somebody activates it, begins with none. */
  const restarts = new Map<string, { generation: number; times: number[] }>();

  function leave(app: string): void {
    loops.get(app)?.controller.abort();
    loops.delete(app);
  }

  return {
    leave,
    follow(app) {
      leave(app);
      const engine = engineOf();
      const state = engine.journal.apps.get(app);
      if (state?.hold !== undefined) {
        restarts.delete(app);
        engine.board.setHealth(app, "stopped");
        return goBackFromHold(engine, app, state.hold);
      }
      if (state?.current === undefined || engine.closing.aborted || isOnTrial(engine)) return;
      if (isJob(engine, app, state.current)) return engine.board.setHealth(app, healthOfJob(engine, app));
      const isHost = hostApp(engine) === app;
      const controller = new AbortController();
      const before = restarts.get(app);
      const history = before?.generation === state.current ? before : { generation: state.current, times: [] };
      restarts.set(app, history);
      const watching = isHost
        ? watchHost(engine, app, state.current, controller.signal)
        : watchGeneration(engine, app, state.current, history.times, controller.signal);
      const done = watching.catch((error) => {
        engine.log("error", "watch stopped", { app, ...toFailureDocument(error) });
      });
      loops.set(app, { controller, done });
    },
    async close() {
      const ended = [...loops.values()].map(({ controller, done }) => {
        controller.abort();
        return done;
      });
      loops.clear();
      await Promise.all(ended);
    },
  };
}

async function watchGeneration(engine: Engine, app: string, number: number, restarts: number[], signal: AbortSignal) {
  const checks = launchable(engine, app, number).app.health;
  const interval = Math.min(PROCESS_INTERVAL, ...checks.map((check) => check.interval));
  const recent: Sample[][] = checks.map(() => []);
  const begun = engine.clock.now();
  let told = false;
  while (!signal.aborted) {
    await engine.clock.sleep(interval, signal);
    if (signal.aborted) return;
    const seen = await look(engine, app, number, recent);
    if (signal.aborted) return;
    if (seen === undefined) {
      engine.board.setHealth(app, "unknown");
      continue;
    }
    const { sick } = seen;
    const failing = recent.some((samples) => samples.at(-1)?.ok === false);
    engine.board.setHealth(app, sick !== undefined || failing ? "unhealthy" : "healthy");
    if (sick === undefined) {
      told = false;
      continue;
    }
    if (!told) told = tellSick(engine, app, sick);
    if (engine.settings.onSick !== "report" && actOn(engine, app, sick, begun, restarts)) return;
  }
}

/**
 * Whether an app that is unhealthy now is so for as many looks as make it sick. One at which nobody could look says
 * neither, and is waited for as well.
 */
export async function staysSick(engine: Engine, app: string, number: number, signal: AbortSignal): Promise<boolean> {
  const checks = launchable(engine, app, number).app.health;
  const interval = Math.max(PROCESS_INTERVAL, ...checks.map((check) => check.interval));
  let health = engine.board.health(app);
  if (health !== "unhealthy") return false;
  for (let looks = 0; looks < SICK_AFTER && !signal.aborted; looks++) {
    await engine.clock.sleep(interval, signal);
    health = engine.board.health(app);
    if (health !== "unhealthy" && health !== "unknown") return false;
  }
  return true;
}

/** The host is looked at and told about: what runs it was proven, and no reboot at night makes it better. */
async function watchHost(engine: Engine, app: string, number: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const health = await lookAtHost(engine, app, number, signal);
    if (signal.aborted) return;
    engine.board.setHealth(app, health);
    await engine.clock.sleep(HOST_INTERVAL, signal);
  }
}

/** That hostd could not look is told, and is no reason to believe what was seen before. */
async function lookAtHost(engine: Engine, app: string, number: number, signal: AbortSignal): Promise<Health> {
  try {
    const checks = launchable(engine, app, number).app.health;
    const results = await Promise.all(checks.map(async (check) => ({ check, ...(await checkOfHost(check)) })));
    for (const { check, ok, detail, took } of signal.aborted ? [] : results) {
      engine.board.setCheck(app, { check: nameOf(check), ok, detail, took, at: engine.clock.date().toISOString() });
    }
    return results.every(({ ok }) => ok) ? "healthy" : "unhealthy";
  } catch (error) {
    engine.log("error", "could not look at the host", { app, ...toFailureDocument(error) });
    return "unknown";
  }
}

/** One look at the app; that hostd could not look is told, and says nothing about the app. */
async function look(
  engine: Engine,
  app: string,
  number: number,
  recent: Sample[][],
): Promise<{ sick: string | undefined } | undefined> {
  try {
    await askAll(engine, app, number, recent);
    return { sick: sickness(recent, await endOf(engine, app, number)) };
  } catch (error) {
    engine.log("error", "could not look at the app", { app, ...toFailureDocument(error) });
    return undefined;
  }
}

/** How the process ended, in words; one that is not known at all did not survive a restart of the node. */
async function endOf(engine: Engine, app: string, number: number): Promise<string | undefined> {
  const newest = await processOf(engine, app, number);
  if (newest === undefined) return "it is not running";
  return newest.exited === undefined ? undefined : describeExit(newest.exited);
}

async function askAll(engine: Engine, app: string, number: number, recent: Sample[][]): Promise<void> {
  const checks = launchable(engine, app, number).app.health;
  const generation = await processNumber(engine, app, number);
  await Promise.all(
    checks.map(async (health, check) => {
      const { ok, detail, took } = await engine.node.check(health, { app, generation });
      engine.board.setCheck(app, { check: nameOf(health), ok, detail, took, at: engine.clock.date().toISOString() });
      recent[check] = [...(recent[check] ?? []), { check, at: engine.clock.now(), ok, detail }].slice(-SICK_AFTER);
    }),
  );
}

/** Whether an operation stopped an app for being sick; somebody may have stopped it for a reason of his own. */
function stoppedTheSick({ kind, caller, reason }: OperationRow): boolean {
  return (kind === "halt" && caller === "hostd") || (kind === "restart" && isAtFault(reason?.code));
}

/**
 * Policy `rollback`: an app that was stopped since it stayed sick goes back to its last good version, once. Only right
 * after it was stopped: a rollback that failed is not tried again, and what somebody did since then stands.
 */
function goBackFromHold(engine: Engine, app: string, hold: string): void {
  if (engine.settings.onSick !== "rollback" || engine.closing.aborted) return;
  const last = engine.journal.operations.list({ app, limit: 20 }).find(({ kind }) => !BESIDE.has(kind));
  if (last === undefined || !stoppedTheSick(last) || cameBack(engine, app)) return;
  try {
    engine.submit.rollback({ app, by: "hostd", cause: hold });
  } catch (error) {
    engine.log("error", "no rollback of a sick app", { app, ...toFailureDocument(error) });
  }
}

/** Whether hostd itself went back to what is current. */
function cameBack({ journal }: Engine, app: string): boolean {
  const current = journal.apps.get(app)?.current;
  const made = current === undefined ? undefined : journal.generations.get(app, current)?.operation;
  const operation = made === undefined ? undefined : journal.operations.get(made);
  return operation?.kind === "rollback" && operation.caller === "hostd";
}

/** One event for each time that an app turns sick. False: the journal takes none now, tell it later. */
function tellSick(engine: Engine, app: string, reason: string): boolean {
  try {
    if (hinderedRestarts(engine, app)?.byHostd !== true)
      engine.journal.events.append("app.sick", { app, detail: { reason } });
    return true;
  } catch (error) {
    engine.log("warn", "sickness not told yet", { app, ...toFailureDocument(error) });
    return false;
  }
}

/**
 * Tiers two and three: one restart that is judged; an app that needs one again and again is stopped. What hindered its
 * restart is no reason to stop it. `begun`: when it was last left to the watch. False: try later.
 */
function actOn(engine: Engine, app: string, cause: string, begun: number, restarts: number[]): boolean {
  const now = engine.clock.now();
  const about = { app, by: "hostd", cause };
  try {
    const hindered = hinderedRestarts(engine, app);
    if (hindered !== undefined && now - begun < pauseAfter(hindered.count)) return false;
    if (hindered !== undefined || mayRestart(restarts, now)) engine.submit.restart(about);
    else engine.submit.halt({ ...about, cause: `sick again and again: ${cause}` });
    if (hindered === undefined) restarts.push(now);
    return true;
  } catch (error) {
    engine.log("warn", "could not act on a sick app yet", { app, ...toFailureDocument(error) });
    return false;
  }
}
