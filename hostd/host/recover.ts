import { entryName, findEntry, nextNumber } from "../../images/boot/entries.ts";
import { toFailureDocument } from "../../manifests/failure.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import type { OperationRow } from "../journal/operations.ts";
import { openContext } from "../operations/context.ts";
import { parsePlan } from "../operations/plan.ts";
import type { Begun } from "../recover/decide.ts";
import { tell } from "../tell.ts";
import { adoptable } from "./adopt.ts";
import { evidenceOf, resolveUpgrade } from "./decide.ts";
import { repairEsp, short } from "./entries.ts";
import { hostApp, hostOf, requireBoot, slotOfRoot, trialRoot, versionsOf } from "./host.ts";
import type { HostPlan } from "./plan.ts";
import { refuseWithoutEspRoom } from "./staging.ts";

/**
 * Brings what the machine holds of the host in line with the journal, before anything else goes on: the ESP boots the last
 * good system, leftovers go, and what runs as that is adopted where the journal has another one. What cannot be read stops
 * nothing: the system that runs goes on running.
 */
export async function recoverHost(engine: Engine): Promise<void> {
  if (engine.host === undefined) return;
  const { machine, files, looks } = engine.host;
  const settle = async (work: () => Promise<void>) => {
    await work().catch((error: unknown) => engine.log("error", "host not settled", { ...toFailureDocument(error) }));
  };
  const isTrial = trialRoot(engine) !== undefined;
  await settle(async () => {
    for (const what of await files.removeHalfMade(machine.bootId)) repaired(engine, `removed ${what}`);
    if ((await files.good()) === undefined && !isTrial) {
      await files.setGood(machine.booted);
      repaired(engine, `host/good was not readable: it is what runs, ${short(machine.booted)}`);
    }
    if (isTrial) return;
    await files.setTrial(undefined);
    await engine.node.unmountHostRoots();
  });
  await settle(() => repairBoot(engine));
  await settle(async () => {
    const found = isTrial ? undefined : await adoptable(engine);
    if (found !== undefined) engine.submit.adopt({ by: "hostd", ...found });
  });
  await settle(async () => {
    const left = await looks.endLeft();
    if (left > 0) repaired(engine, `unmounted what was being looked at, ${left} in all`);
  });
}

async function repairBoot(engine: Engine): Promise<void> {
  const { machine, esp, files } = hostOf(engine);
  const app = hostApp(engine);
  const content = await esp.read();
  const good = await files.good();
  const repair = repairEsp({
    names: content.files.map(({ name }) => name),
    conf: content.conf,
    versions: app === undefined ? [] : versionsOf(engine, app),
    booted: machine.booted,
    good,
    trial: trialRoot(engine),
  });
  for (const path of content.unfinished) {
    await esp.discard(path);
    repaired(engine, `removed ${path} from the ESP`);
  }
  if (repair.setDefault !== undefined) {
    await esp.setDefault(repair.setDefault);
    repaired(engine, `the ESP's default is entry ${repair.setDefault} again`);
  }
  for (const { from, to } of repair.rename) {
    await esp.rename(from, to);
    repaired(engine, `${from} is ${to}`);
  }
  for (const name of repair.remove) {
    await esp.remove(name);
    repaired(engine, `removed ${name} from the ESP`);
  }
  if (repair.lost && good !== undefined) await bringBack(engine, good);
}

/**
 * Joins the UKI of the last good system again, which the ESP lost. Where that cannot be, what runs takes its place, so
 * that the guard does not go on to look for what is gone; a trial under way decides by itself.
 */
async function bringBack(engine: Engine, good: string): Promise<void> {
  const { machine, esp, files } = hostOf(engine);
  const app = hostApp(engine);
  const slot = slotOfRoot(engine, app, good);
  const { files: left, free } = await esp.read();
  const names = left.map(({ name }) => name);
  try {
    if (slot === undefined) throw new HostdError("not-staged", `root ${short(good)}: expected it on this node`);
    const { uki, parts } = requireBoot(slot);
    refuseWithoutEspRoom({ needed: uki.size, free });
    const number = nextNumber(names, engine.journal.operations.lastEntry());
    const name = entryName({ number, root: good });
    await esp.install(
      name,
      parts.map(({ digest }) => files.partPath(digest)),
      uki,
    );
    await esp.setDefault(number);
    repaired(engine, `the last good system had no entry on the ESP: it is ${name}`);
  } catch (error) {
    engine.log("error", "the last good system cannot be booted", { root: short(good), ...toFailureDocument(error) });
    const running = slotOfRoot(engine, app, machine.booted);
    const entry = findEntry(names, machine.booted);
    const isProven =
      running?.state === "good" && engine.journal.quarantine.of(running.app, running.image) === undefined;
    if (trialRoot(engine) !== undefined || entry === undefined || !isProven) return;
    await esp.setDefault(entry.number);
    await files.setGood(machine.booted);
    repaired(engine, `the last good system ${short(good)} cannot be booted: it is what runs, ${short(machine.booted)}`);
  }
}

function repaired(engine: Engine, what: string): void {
  tell(engine, "host.repaired", { detail: { what } });
  engine.log("info", "host repaired", { what });
}

/** Goes on with an upgrade that a reboot, a crash or a power cut interrupted, by what was booted. */
export async function resumeUpgrade(engine: Engine, operation: OperationRow, steps: readonly Begun[]): Promise<void> {
  const plan = parsePlan(operation.plan, operation.id).host;
  const step = steps.findLast(({ started }) => started)?.name;
  if (plan === undefined || engine.host === undefined) return engine.submit.resolve(operation, "resume");
  const { machine } = engine.host;
  const resolution = resolveUpgrade({
    state: operation.state,
    step,
    booted: machine.booted,
    from: plan.from,
    root: plan.root,
    live: plan.live,
    sameBoot: plan.askedIn === machine.bootId,
    trials: plan.trials,
    evidence: evidenceOf(await leftBy(engine, plan)),
  });
  engine.log("info", "unfinished upgrade", {
    operation: operation.id,
    step,
    booted: short(machine.booted),
    ...resolution,
  });
  if (resolution.how === "again") {
    openContext(engine, operation, AbortSignal.abort()).note(`${resolution.why}: armed again`);
    engine.journal.operations.rewind(operation.id, "install"); // its entry may be gone: FAT renames in two writes
  }
  if (resolution.how !== "undo") return engine.submit.resolve(operation, "resume");
  const reason = new HostdError(resolution.code, resolution.why, {
    hint: `hostd failure ${operation.id} shows what its boot left behind`,
  });
  engine.submit.resolve(operation, "undo", toFailureDocument(reason));
}

async function leftBy(engine: Engine, plan: HostPlan) {
  const { files, evidence } = hostOf(engine);
  const records = (await evidence.records()).filter((name) => !plan.records.includes(name));
  return { bootLog: await files.bootLog(plan.root), records };
}
