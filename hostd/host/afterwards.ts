import type { BootLeft } from "../../manifests/bundle.ts";
import type { Digest } from "../../manifests/digest.ts";
import type { Context } from "../operations/context.ts";
import { judgeHost } from "./gates.ts";
import { hostOf, slotOfRoot } from "./host.ts";

/** Judges the old system again once it runs, apart from what made the upgrade fail. */
export async function judgeHostAfterwards(context: Context): Promise<void> {
  const { engine, app, plan } = context;
  const old = slotOfRoot(engine, app, plan.host?.from);
  if (old === undefined || hostOf(engine).machine.booted !== plan.host?.from) return;
  await judgeSystemAfterwards(context, old.image);
}

/** Judges the system that runs by the checks of its image. */
export async function judgeSystemAfterwards(context: Context, image: Digest | undefined): Promise<void> {
  const { engine, app } = context;
  if (image === undefined) return;
  const verdict = await judgeHost(context, image, engine.closing);
  if (verdict.state === "pending") return;
  const healthy = verdict.state === "healthy";
  engine.journal.operations.setAfterwards(context.id, { healthy, detail: verdict.detail });
  const { version } = engine.journal.slots.require(app, image);
  if (!healthy) context.note(`after the revert ${version} is not healthy: ${verdict.detail}`);
}

/**
 * What the boot of a trial, or a hostd that was exchanged, left behind: asked for in it, while it still runs, and again in the old system, where the
 * kernel's and the initrd's last words can be read. What was kept first is not lost.
 */
export async function leftByTrial(context: Context, kept: BootLeft | undefined): Promise<BootLeft | undefined> {
  const plan = context.plan.host;
  const { host } = context.engine;
  if (plan === undefined || host === undefined || plan.askedIn === undefined) return kept;
  const { machine, files, evidence } = host;
  const names = (await evidence.records()).filter((name) => !plan.records.includes(name));
  const journalOfTrial = async (askedIn: string) => {
    if (plan.live) return await evidence.journalOfHostd(askedIn);
    if (machine.booted === plan.root) return await evidence.journalOf(machine.bootId);
    return await evidence.journalAfter(askedIn, machine.bootId);
  };
  const journal = await journalOfTrial(plan.askedIn);
  return {
    root: plan.root,
    journal: journal === "" ? (kept?.journal ?? "") : journal,
    records: names.length === 0 ? (kept?.records ?? "") : await evidence.readRecords(names),
    log: [...new Set([...(kept?.log ?? []), ...(await files.bootLog(plan.root))])],
  };
}
