import { toFailureDocument } from "../../manifests/failure.ts";
import { tellVerdict } from "../checks/gate.ts";
import { judgeGeneration } from "../health/trial.ts";
import { judgeHostAfterwards, judgeSystemAfterwards } from "../host/afterwards.ts";
import type { Context } from "../operations/context.ts";
import { runHook } from "../switch/hooks.ts";
import { isJob } from "../switch/job.ts";
import { tellGap } from "../switch/steps.ts";

/**
 * Judges the old generation again once it is back, apart from the failure that led there: "taken back" and "well
 * again" are two facts. Whatever it finds reverts nothing; the watch acts on an app that stays sick. Then the host's red.d hears of it.
 */
export async function judgeAfterwards(context: Context): Promise<void> {
  await judgeOld(context);
  if (!context.engine.closing.aborted) await tellVerdict(context, "red");
}

async function judgeOld(context: Context): Promise<void> {
  if (context.plan.host !== undefined) return await judgeHostAfterwards(context);
  const { engine, app, plan } = context;
  if (context.kind === "configure-host") return await judgeSystemAfterwards(context, plan.switch?.image);
  const from = plan.switch?.from;
  if (from === undefined || plan.switch?.hold !== undefined || from === plan.switch?.to) return;
  context.report("judge the old generation again");
  const startsNothing = context.kind === "reload" || isJob(engine, app, from);
  const hooks = startsNothing ? (["reverted"] as const) : (["ready", "reverted"] as const);
  for (const hook of hooks) {
    await runHook(context, from, hook, "hook-failed").catch((error) => {
      if (!engine.closing.aborted) context.note(`after the revert: ${toFailureDocument(error).message}`);
    });
  }
  if (isJob(engine, app, from)) return;
  const verdict = await judgeGeneration(engine, {
    app,
    number: from,
    standing: "fresh",
    signal: engine.closing,
    report: context.report,
  });
  if (verdict.state === "pending") return;
  await tellGap(context);
  const healthy = verdict.state === "healthy";
  engine.journal.operations.setAfterwards(context.id, { healthy, detail: verdict.detail });
  if (!healthy) context.note(`after the revert generation ${from} is not healthy: ${verdict.detail}`);
}
