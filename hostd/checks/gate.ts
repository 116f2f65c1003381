import { toFailureDocument } from "../../manifests/failure.ts";
import type { HostCheck, HostScriptKind } from "../../manifests/node.ts";
import { HostdError } from "../error.ts";
import { describeExit } from "../exit.ts";
import { type Context, switchOf } from "../operations/context.ts";
import { isJob } from "../switch/job.ts";
import { processOf } from "../switch/process.ts";
import { runHostScripts } from "../system/host-scripts.ts";

/** Kinds of operations that put a generation on trial; a restart is none. */
const TRIALS: ReadonlySet<string> = new Set([
  ...["activate", "deploy", "run", "rollback", "configure", "reload"],
  ...["upgrade", "deploy-host", "configure-host"],
]);

/**
 * The host's own say in a trial, once the app's checks are good: every script of required.d must succeed, those of
 * wanted.d are told alone. A trial that a required script fails is taken back as one that turned out unhealthy.
 */
export async function passGate(context: Context): Promise<void> {
  if (!TRIALS.has(context.kind)) return;
  const required = await runScripts(context, "required.d", "trial", context.signal);
  const wanted = await runScripts(context, "wanted.d", "trial", context.signal);
  context.signal.throwIfAborted();
  for (const { check, detail, outcome } of [...required, ...wanted]) {
    if (outcome === "skipped") context.note(`host check ${check} was skipped: ${detail}`);
  }
  for (const { check, detail } of wanted.filter(isBad)) context.note(`host check ${check} is not good: ${detail}`);
  const bad = required.filter(isBad);
  if (bad.length === 0) return await expectAlive(context);
  const why = bad.map(({ check, detail }) => `${check}: ${detail}`).join("; ");
  throw new HostdError("unhealthy", `generation ${switchOf(context).to} of ${context.app}: host check ${why}`, {
    hint: `hostd failure ${context.id} shows what each check said`,
  });
}

/** The scripts took their time; the app must have lived through it. */
async function expectAlive(context: Context): Promise<void> {
  const { to } = switchOf(context);
  if (isJob(context.engine, context.app, to)) return;
  const exit = (await processOf(context.engine, context.app, to))?.exited;
  if (exit === undefined) return;
  throw new HostdError("unhealthy", `generation ${to} of ${context.app}: the app ended: ${describeExit(exit)}`);
}

/** Tells the host about a verdict: scripts of green.d or red.d. Whatever they do changes nothing of it. */
export async function tellVerdict(context: Context, verdict: "green" | "red"): Promise<void> {
  if (verdict === "green" ? !TRIALS.has(context.kind) : !(TRIALS.has(context.kind) || context.kind === "restart"))
    return;
  try {
    const results = await runScripts(context, `${verdict}.d`, verdict, context.engine.closing);
    for (const { check, detail } of results.filter(isBad)) context.note(`${check} is not good: ${detail}`);
  } catch (error) {
    context.engine.log("error", "host not told of the verdict", { operation: context.id, ...toFailureDocument(error) });
  }
}

async function runScripts(context: Context, kind: HostScriptKind, verdict: string, signal: AbortSignal) {
  const { engine, app } = context;
  const { directories, timeout } = engine.settings.checks;
  const scripts = { directories, timeout, kind, env: environmentOf(context, verdict), date: engine.clock.date, signal };
  return await runHostScripts(scripts, (result) => {
    engine.board.setHostCheck(app, result);
    context.report(`host check ${result.check}: ${result.outcome}`);
  });
}

function environmentOf(context: Context, verdict: string): Record<string, string> {
  const { image, version, to, from } = switchOf(context);
  return {
    HOSTD_APP: context.app,
    HOSTD_OPERATION: String(context.id),
    HOSTD_KIND: context.kind,
    HOSTD_VERDICT: verdict,
    HOSTD_IMAGE: image,
    HOSTD_VERSION: version,
    HOSTD_GENERATION: String(to),
    ...(from === undefined ? {} : { HOSTD_FROM: String(from) }),
    ...(context.failure === undefined ? {} : { HOSTD_REASON: context.failure }),
  };
}

function isBad({ outcome }: HostCheck): boolean {
  return outcome === "failed" || outcome === "timed-out";
}
