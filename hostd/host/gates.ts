import { findEntry } from "../../images/boot/entries.ts";
import { passGate } from "../checks/gate.ts";
import { HostdError } from "../error.ts";
import type { Verdict } from "../health/decide.ts";
import { judge } from "../health/judge.ts";
import { judgeGeneration } from "../health/trial.ts";
import { type Context, switchOf } from "../operations/context.ts";
import { lockOf } from "../states.ts";
import { isJob } from "../switch/job.ts";
import { startGeneration } from "../switch/launch.ts";
import { requireApp } from "../switch/plan.ts";
import { checkOfHost } from "../system/check-host.ts";
import { short } from "./entries.ts";
import { hostOf, hostPlanOf } from "./host.ts";

/** How often something that takes its time is looked at again, milliseconds. */
const LOOK = 500;

/**
 * Every gate that does not need the pusher: the loader counted this boot, the image's own checks are good, so are the
 * node's, and every app that ran before is healthy again. The first that fails takes the upgrade back.
 */
export async function gates(context: Context): Promise<string> {
  await expectTrial(context);
  const verdict = await judgeHost(context, switchOf(context).image, context.signal);
  if (verdict.state === "pending") context.signal.throwIfAborted();
  if (verdict.state !== "healthy") throw sick(context, verdict.detail);
  await passGate(context);
  await expectAppsBack(context);
  return verdict.detail;
}

async function expectTrial(context: Context): Promise<void> {
  const { machine, esp } = hostOf(context.engine);
  const { root, live } = hostPlanOf(context);
  if (machine.booted !== root)
    throw sick(context, `expected root ${short(root)} to be booted, got ${short(machine.booted)}`);
  if (live) return; // the loader had no part in it
  const names = (await esp.read()).files.map(({ name }) => name);
  const entry = findEntry(names, root);
  if (entry?.tries === undefined || entry.tries.done > 0) return; // proven meanwhile, or counted
  throw sick(context, `the loader did not count this boot: expected a used try, got ${entry.name}`);
}

/** Judges the running system by the checks of one of its images, and shows the results. */
export async function judgeHost(
  { engine, app, report }: Pick<Context, "engine" | "app" | "report">,
  image: Parameters<typeof engine.journal.slots.require>[1],
  signal: AbortSignal,
): Promise<Verdict> {
  engine.board.clear(app);
  engine.board.setHealth(app, "judging");
  const verdict = await judge({
    checks: requireApp(engine.journal.slots.require(app, image)).health,
    check: checkOfHost,
    exited: async () => undefined,
    clock: engine.clock,
    signal,
    onSample: (check, { ok, detail, took }) =>
      engine.board.setCheck(app, { check, ok, detail, took, at: engine.clock.date().toISOString() }),
    onPending: report,
  });
  const health = { healthy: "healthy", failed: "unhealthy", pending: "unknown" } as const;
  engine.board.setHealth(app, health[verdict.state]);
  return verdict;
}

/** Nobody else judges the apps meanwhile (health/watch.ts): what a new system breaks is taken back, not stopped and held. */
async function expectAppsBack(context: Context): Promise<void> {
  const results = await Promise.all(hostPlanOf(context).apps.map(({ app }) => whyNotBack(context, app)));
  context.signal.throwIfAborted();
  const bad = results.filter((result) => result !== undefined);
  if (bad.length > 0) throw sick(context, bad.join("; "));
}

/** What is against the new system, of one app; nothing where somebody stopped it, which the system has no part in. */
async function whyNotBack(context: Context, app: string): Promise<string | undefined> {
  const why = await appIsBack(context, app);
  if (why === undefined || !wasStoppedMeanwhile(context, app)) return why;
  context.note(`app ${app} was stopped meanwhile`);
  return undefined;
}

/** Undefined where the app is healthy; a word about it where it is not. */
async function appIsBack(context: Context, app: string): Promise<string | undefined> {
  const { engine, signal } = context;
  const busy = () =>
    engine.journal.operations
      .unfinished(app)
      .some(({ id }) =>
        engine.journal.operations
          .steps(id)
          .some(({ name, document }) => document.started !== undefined && lockOf(name) === "switch"),
      );
  while (busy() && !signal.aborted) await engine.clock.sleep(LOOK, signal);
  const state = engine.journal.apps.get(app);
  if (state?.current === undefined) return undefined; // given up meanwhile
  if (state.hold !== undefined) return `app ${app} did not return: ${state.hold}`;
  if (isJob(engine, app, state.current)) return undefined; // nothing of it runs between its runs
  try {
    await startGeneration(engine, app, state.current);
    const report = (text: string) => context.report(`${app}: ${text}`);
    const verdict = await judgeGeneration(engine, { app, number: state.current, standing: "fresh", signal, report });
    return verdict.state === "healthy" ? undefined : `app ${app} did not return: ${verdict.detail}`;
  } catch (error) {
    if (signal.aborted) return undefined;
    return `app ${app} did not return: ${(error as Error).message}`;
  }
}

function wasStoppedMeanwhile({ engine, id }: Context, app: string): boolean {
  const [last] = engine.journal.operations.list({ app, limit: 1 });
  return last?.kind === "halt" && last.caller !== "hostd" && last.id > id;
}

/** Waits until the pusher has come back over a new connection; hostd started anew, so every connection is one. */
export async function confirm(context: Context): Promise<string> {
  const { engine, id } = context;
  const { machine } = hostOf(engine);
  const plan = hostPlanOf(context);
  if (plan.confirmWithin === undefined) return "not asked for";
  const now = await machine.uptime();
  const started = plan.confirmation?.bootId === machine.bootId ? plan.confirmation : undefined;
  const confirmation = started ?? { bootId: machine.bootId, until: now + plan.confirmWithin };
  if (started === undefined) context.savePlan({ host: { ...plan, confirmation } });
  for (;;) {
    const by = confirmedBy(context, machine.bootId);
    if (by !== undefined) {
      context.note(`confirmed by ${by}`);
      return `by ${by}`;
    }
    context.signal.throwIfAborted();
    const left = Math.ceil(confirmation.until - (await machine.uptime()));
    if (left <= 0) break;
    context.report(`waiting for hostd confirm, ${left} s left`);
    await engine.clock.sleep(LOOK, context.signal);
  }
  throw new HostdError("not-confirmed", `operation ${id}: nobody confirmed within ${plan.confirmWithin} s`, {
    hint: "the new system may keep the pusher out: hostd failure shows its journal",
  });
}

function confirmedBy({ engine, id }: Context, bootId: string): string | undefined {
  const event = engine.journal.events
    .of(id)
    .find(({ kind, detail }) => kind === "host.confirmed" && detail["boot"] === bootId);
  return event === undefined ? undefined : String(event.detail["by"]);
}

function sick(context: Context, detail: string): HostdError {
  const { version } = switchOf(context);
  return new HostdError("unhealthy", `${context.app} ${version}: ${detail}`, {
    hint: `hostd failure ${context.id} shows the journal of its boot and its check results`,
  });
}
