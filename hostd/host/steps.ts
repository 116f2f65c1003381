import { syncFilesystem } from "../../effects/durable.ts";
import { entryName, entryStem, findEntries, findEntry, nextNumber } from "../../images/boot/entries.ts";
import { rootListOf } from "../../images/boot/roots.ts";
import { shortDigest } from "../../manifests/digest.ts";
import { verityOf } from "../../manifests/image.ts";
import { tellVerdict } from "../checks/gate.ts";
import { realFiles } from "../config/files.ts";
import { HostdError } from "../error.ts";
import { staysSick } from "../health/watch.ts";
import { type Context, END, switchOf } from "../operations/context.ts";
import { refuseOvertaken } from "../operations/overtaken.ts";
import type { SlotAction } from "../states.ts";
import { requireApp } from "../switch/plan.ts";
import { planSlot } from "../switch/situation.ts";
import { requireGood } from "../system/host/files.ts";
import { wayTo } from "./compare.ts";
import { short, trialName } from "./entries.ts";
import { exchange, exchangeBack } from "./exchange.ts";
import { refuseBelowFloor } from "./floor.ts";
import { hostOf, hostPlanOf, requireBoot, slotOfRoot } from "./host.ts";
import { deadlineOf } from "./plan.ts";
import { refuseWithoutEspRoom, removeUnusedEntries } from "./staging.ts";

// The steps of an upgrade and what undoes each (hostd/states.ts). Invariants:
// - until bless has written loader.conf, whatever the machine does next it boots the proven system;
// - bless writes in this order: the entry's proven name, loader.conf, host/good, the journal. A cut between any two
//   boots the old system, where the trial is armed again, or the new one, which passed every gate;
// - each step may be repeated, in either system.

/** Codes that are the new version's own fault: it is condemned and quarantined. Anything else only withdraws it. */
const AT_FAULT: ReadonlySet<string> = new Set(["unhealthy", "trial-failed", "not-confirmed"]);

/** Decides what the upgrade leads to, and how. What runs already ends it. */
export async function target(context: Context): Promise<string> {
  const { engine, app, id } = context;
  const { machine, files, esp, etc } = hostOf(engine);
  const image = context.plan.switch?.image ?? context.plan.image ?? context.plan.stage?.found?.image;
  if (image === undefined) throw new HostdError("journal", `operation ${id}: expected a chosen version`);
  if (context.plan.switch === undefined) refuseOvertaken(context, image); // a rollback has one by now, and is not held
  const slot = engine.journal.slots.require(app, image);
  const boot = requireBoot(slot);
  const good = requireGood(await files.good());
  if (machine.booted !== good) {
    throw new HostdError("not-proven", `${short(machine.booted)} runs, the last good system is ${short(good)}`, {
      hint: "a reboot leads back to the last good system; upgrade from there",
    });
  }
  const isOther = boot.root !== machine.booted; // whatever the journal takes for the current one
  const decided =
    context.plan.switch === undefined ? planSlot(engine, app, image, isOther) : { plan: context.plan.switch };
  const planned = decided.plan;
  if ("note" in decided && decided.note !== undefined) context.note(decided.note);
  if (planned === undefined || !isOther) {
    context.note(`${slot.version} runs already`);
    return END;
  }
  const names = (await esp.read()).files.map(({ name }) => name);
  const current = slotOfRoot(engine, app, machine.booted);
  const { confirmWithin, breakGlass, reboot = false } = context.plan;
  const basis = engine.journal.generations.config(app, planned.config);
  const { live, why } = await wayTo(engine, { from: current, to: slot, basis, reboot });
  await refuseBelowFloor(context, slot, breakGlass);
  context.savePlan({
    switch: planned,
    host: {
      from: machine.booted,
      root: boot.root,
      live,
      why,
      entry: findEntry(names, boot.root)?.number ?? nextNumber(names, engine.journal.operations.lastEntry()),
      provenBefore: slot.last_good_at !== undefined,
      etcBefore: await etc.isThere(boot.root),
      apps: await appsThatRun(context),
      ...(confirmWithin === undefined ? {} : { confirmWithin }),
      ...(breakGlass === undefined ? {} : { breakGlass }),
      deadline: deadlineOf(confirmWithin),
      trials: 0,
      records: [],
    },
  });
  return `${slot.version}, ${live ? "without reboot" : "reboot"}: ${why}`;
}

/** Puts everything in place that the trial needs: nothing of it is booted yet. */
export async function install(context: Context): Promise<string> {
  const { engine, app, id } = context;
  const { esp, files, etc, machine } = hostOf(engine);
  const plan = hostPlanOf(context);
  const { image, config, to, version } = switchOf(context);
  const slot = engine.journal.slots.require(app, image);
  const boot = requireBoot(slot);
  engine.journal.transaction(() => {
    if (slot.state !== "trial") engine.journal.slots.move(id, app, image, "try");
    engine.journal.apps.setTarget(id, app, { image, version, sequence: slot.sequence });
    engine.journal.generations.begin(id, { app, number: to, image, version, config, data: undefined });
  });
  for (const layer of slot.manifest.layers) await engine.node.checkLayer(verityOf(layer));
  await files.writeRoot(rootListOf(slot.manifest));
  const carried = await etc.make(
    plan.root,
    { running: machine.booted, started: machine.started, shared: plan.live },
    await realFiles(engine, app, requireApp(slot).config, engine.journal.generations.config(app, config)),
  );
  if (carried === undefined && plan.provenBefore && !plan.live) {
    context.note(`/etc of ${version} is as it was when it last ran`);
  }
  if (carried) context.note(`carried ${carried} changed files of /etc over`);

  await removeUnusedEntries(engine);
  const before = await esp.read();
  const entry = findEntry(
    before.files.map(({ name }) => name),
    plan.root,
  );
  if (entry !== undefined && (await esp.holds(entry.name, boot.uki))) return `${entry.name} was there`;
  if (entry !== undefined) await esp.remove(entry.name);
  refuseWithoutEspRoom({ needed: boot.uki.size, free: (await esp.read()).free });
  const name = trialName({ number: plan.entry, root: plan.root });
  await esp.install(
    name,
    boot.parts.map(({ digest }) => files.partPath(digest)),
    boot.uki,
  );
  return name;
}

/** Ends the trial without success: what it put in place goes, unless the version was proven here before. */
export async function uninstall(context: Context): Promise<void> {
  const { engine } = context;
  const { esp, etc } = hostOf(engine);
  const plan = hostPlanOf(context);
  const entries = findEntries((await esp.read()).files.map(({ name }) => name));
  for (const entry of entries.filter(({ root }) => root === short(plan.root))) {
    if (plan.provenBefore) await esp.rename(entry.name, entryName({ number: entry.number, root: entry.root }));
    else await esp.remove(entry.name);
  }
  if (!plan.provenBefore && !plan.etcBefore) await etc.remove(plan.root);
  endTrial(context);
}

function endTrial(context: Context): void {
  const { engine, app, id } = context;
  const { slots, quarantine, generations, apps, operations } = engine.journal;
  const { image, to, version } = switchOf(context);
  const plan = hostPlanOf(context);
  const slot = slots.require(app, image);
  const condemned = AT_FAULT.has(context.failure ?? "");
  const action: SlotAction = condemned ? "condemn" : slot.last_good_at === undefined ? "withdraw" : "reinstate";
  const old = slotOfRoot(engine, app, plan.from);
  engine.journal.transaction(() => {
    if (slot.state === "trial") slots.move(id, app, image, action);
    if (generations.get(app, to)?.state === "trial") generations.move(id, app, to, condemned ? "condemn" : "withdraw");
    if (condemned) quarantine.add(id, app, image, operations.get(id)?.reason?.message ?? "failed its trial");
    if (condemned) context.note(`quarantined ${version}`);
    if (old !== undefined) {
      apps.setTarget(id, app, { image: old.image, version: old.version, sequence: old.sequence });
    }
  });
}

/**
 * Clears what earlier trials left, tells the guard its deadline, and makes the loader try the new system once. Where
 * hostd alone is exchanged, the loader has no part in it: a reboot in the middle ends in the proven system.
 */
export async function arm(context: Context): Promise<string> {
  const { machine, files, evidence, esp } = hostOf(context.engine);
  const plan = hostPlanOf(context);
  if (machine.booted === plan.root) return "booted already";
  await machine.bootAsUsual();
  await files.clearBootLog();
  const { confirmation: _, confirmed: __, ...rest } = plan;
  context.savePlan({ host: { ...rest, records: await evidence.records() } });
  const entry = findEntry(
    (await esp.read()).files.map(({ name }) => name),
    plan.root,
  );
  if (entry === undefined) {
    throw new HostdError("no-esp", `the ESP lost the entry of ${short(plan.root)}`, {
      hint: `hostd activate ${context.app} ${shortDigest(switchOf(context).image)} joins it again from its parts`,
    });
  }
  if (plan.live) return "hostd alone";
  await esp.rename(entry.name, trialName(entry));
  await files.setTrial({ root: plan.root, deadline: plan.deadline });
  await machine.bootOnce(`${entryStem(entry)}*`);
  const detail = { entry: trialName(entry), deadline: plan.deadline };
  context.engine.journal.events.append("host.armed", { app: context.app, operation: context.id, detail });
  return `${trialName(entry)}, deadline ${plan.deadline} s`;
}

export async function disarm(context: Context): Promise<void> {
  const { machine, files } = hostOf(context.engine);
  await machine.bootAsUsual();
  await files.setTrial(undefined);
}

/** Reboots into the trial, or has hostd alone exchanged; goes on from here in whatever runs then. */
export async function reboot(context: Context): Promise<string> {
  const { machine } = hostOf(context.engine);
  const plan = hostPlanOf(context);
  if (machine.booted === plan.root && plan.live && plan.askedIn === machine.bootId) return "hostd was exchanged";
  if (machine.booted === plan.root) {
    const uptime = Math.round(await machine.uptime());
    return plan.trials <= 1 ? `booted, up ${uptime} s` : `booted at trial ${plan.trials}, up ${uptime} s`;
  }
  if (plan.live) return await exchange(context);
  if (plan.askedIn !== machine.bootId) {
    context.savePlan({ host: { ...plan, trials: plan.trials + 1, askedIn: machine.bootId } });
  }
  return await leave(context);
}

/** Leaves the trial for the proven system. Where that runs again, there is nothing left to do. */
export async function rebootBack(context: Context): Promise<void> {
  const { machine } = hostOf(context.engine);
  const plan = hostPlanOf(context);
  if (machine.booted !== plan.root) return;
  if (plan.live && plan.askedIn === machine.bootId) return await exchangeBack(context);
  await machine.bootAsUsual();
  context.report("reboot into the last good system");
  await leave(context);
}

/** Asks for the reboot and waits for the end of this hostd: what comes after is the next one's. */
async function leave({ engine }: Context): Promise<never> {
  await syncFilesystem(engine.stateDirectory);
  await hostOf(engine).machine.reboot();
  await new Promise<void>((resolve) => {
    if (engine.closing.aborted) resolve();
    engine.closing.addEventListener("abort", () => resolve(), { once: true });
  });
  throw new HostdError("interrupted", "hostd ended for the reboot");
}

/** Proves the new system: the entry's proven name, then the default, then what the guard and the initrd go by. */
export async function bless(context: Context): Promise<string> {
  const { engine, app, id } = context;
  const { esp, files } = hostOf(engine);
  const plan = hostPlanOf(context);
  const { image, to, from, quarantine: left } = switchOf(context);
  const { slots, generations, apps, quarantine } = engine.journal;
  const entry = findEntry(
    (await esp.read()).files.map(({ name }) => name),
    plan.root,
  );
  if (entry === undefined) throw new HostdError("no-esp", `the ESP lost the entry of ${short(plan.root)}`);
  await esp.rename(entry.name, entryName({ number: entry.number, root: entry.root }));
  await esp.setDefault(entry.number);
  await files.setGood(plan.root);
  await files.setTrial(undefined);
  const leftSlot = slotOfRoot(engine, app, plan.from);
  engine.journal.transaction(() => {
    if (slots.get(app, image)?.state === "trial") slots.move(id, app, image, "bless");
    if (generations.get(app, to)?.state === "trial") generations.move(id, app, to, "bless");
    apps.point(id, app, { current: to, previous: from });
    if (left !== undefined && leftSlot !== undefined) {
      quarantine.add(id, app, leftSlot.image, left);
      context.note(`quarantined ${leftSlot.version}: ${left}`);
    }
    if (left === undefined) quarantine.supersede(id, app, image);
  });
  await tellVerdict(context, "green");
  return `default is ${entryStem(entry)}`;
}

/** Makes the old system the default again; its entry was never touched. */
export async function unbless(context: Context): Promise<void> {
  const { esp, files } = hostOf(context.engine);
  const plan = hostPlanOf(context);
  const entry = findEntry(
    (await esp.read()).files.map(({ name }) => name),
    plan.from,
  );
  if (entry !== undefined) await esp.setDefault(entry.number);
  await files.setGood(plan.from);
}

/** What is sick already says nothing about a new system; one bad answer, as a busy node has them, is not sick. */
async function appsThatRun(context: Context): Promise<{ app: string; generation: number }[]> {
  const { engine, app: host, signal } = context;
  const running = engine.journal.apps
    .list()
    .flatMap(({ app, current, hold }) =>
      app === host || current === undefined || hold !== undefined ? [] : [{ app, generation: current }],
    );
  const sick = await Promise.all(running.map(({ app, generation }) => staysSick(engine, app, generation, signal)));
  for (const { app } of running.filter((_, index) => sick[index] === true)) {
    context.note(`${app} is unhealthy already: it is not waited for`);
  }
  return running.filter((_, index) => sick[index] !== true);
}
