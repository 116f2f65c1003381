import { syncFilesystem } from "../../effects/durable.ts";
import { shortDigest } from "../../manifests/digest.ts";
import { verityOf } from "../../manifests/image.ts";
import { HostdError } from "../error.ts";
import { type Context, switchOf } from "../operations/context.ts";
import { short } from "./entries.ts";
import { hostOf, hostPlanOf, slotOfRoot } from "./host.ts";

// An upgrade that changes hostd alone needs no reboot: the new version's hostd is mounted over the one in place and started.
// The guard does both, and goes back by itself (recipes/host: ostler/hostd-exchange). Nothing of it outlives a reboot: until
// bless that boots the old system, from then on the new one.

/** Seconds that the guard may take to end this hostd. */
const BEGINS_WITHIN = 60;

/** How often it is asked, milliseconds. */
const LOOK = 500;

/** Has the guard put the new version's hostd in place; goes on from here in whichever hostd that starts. */
export async function exchange(context: Context): Promise<never> {
  const { machine } = hostOf(context.engine);
  const plan = hostPlanOf(context);
  context.savePlan({ host: { ...plan, trials: plan.trials + 1, askedIn: machine.bootId } });
  return await ask(context, { to: plan.root, back: plan.from, seconds: plan.deadline });
}

/** Leaves a trial for the hostd before it. */
export async function exchangeBack(context: Context): Promise<never> {
  const { from } = hostPlanOf(context);
  context.report("exchange hostd for the last good one");
  return await ask(context, { to: from, back: from, seconds: 0 });
}

async function ask(
  context: Context,
  { to, back, seconds }: { to: string; back: string; seconds: number },
): Promise<never> {
  const { engine } = context;
  const { machine } = hostOf(engine);
  for (const root of new Set([to, back])) if (root !== machine.started) await mountHostRoot(context, root);
  await syncFilesystem(engine.stateDirectory);
  const now = await machine.uptime();
  while (!engine.closing.aborted && (await machine.uptime()) < now + BEGINS_WITHIN) {
    await machine.exchange({ to, back, until: now + seconds }); // a guard about to end would not have seen the first
    await engine.clock.sleep(LOOK, engine.closing);
  }
  if (engine.closing.aborted) throw new HostdError("interrupted", "hostd ended for its exchange");
  // A guard that comes late finds nothing to do, but for the way back: that stays asked for, and the trial watched.
  if (to !== back) await machine.exchange({ to: back, back, until: 0 });
  const wanted = `${context.app} ${shortDigest(switchOf(context).image)}`;
  throw new HostdError("exchange-failed", `hostd was not exchanged within ${BEGINS_WITHIN} s`, {
    hint: `systemctl status hostd-exchange; hostd activate ${wanted} --reboot goes there by a reboot`,
  });
}

async function mountHostRoot({ engine, app }: Context, root: string): Promise<void> {
  const slot = slotOfRoot(engine, app, root);
  if (slot === undefined)
    throw new HostdError("not-staged", `${short(root)}: its layers are not on this node any more`);
  await engine.node.mountHostRoot(root, slot.manifest.layers.map(verityOf));
}
