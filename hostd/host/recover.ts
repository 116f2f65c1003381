import { toFailureDocument } from "../../manifests/failure.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import type { OperationRow } from "../journal/operations.ts";
import { openContext } from "../operations/context.ts";
import { parsePlan } from "../operations/plan.ts";
import type { Begun } from "../recover/decide.ts";
import { adoptable } from "./adopt.ts";
import { evidenceOf, resolveUpgrade } from "./decide.ts";
import { repairEsp, short } from "./entries.ts";
import { hostApp, hostOf, trialRoot, versionsOf } from "./host.ts";
import type { HostPlan } from "./plan.ts";

/**
 * Brings what the machine holds of the host in line with the journal, before anything else goes on: what the disk was
 * laid down with is adopted, the ESP boots the last good system, leftovers go. What cannot be read stops nothing: the
 * system that runs goes on running.
 */
export async function recoverHost(engine: Engine): Promise<void> {
  if (engine.host === undefined) return;
  const { machine, files, looks } = engine.host;
  try {
    for (const what of await files.removeHalfMade(machine.bootId)) repaired(engine, `removed ${what}`);
    const seed = trialRoot(engine) === undefined ? await adoptable(engine) : undefined;
    if (seed !== undefined)
      engine.submit.adopt({ app: seed.app, by: "hostd", channel: seed.channel, found: seed.found });
    if ((await files.good()) === undefined && trialRoot(engine) === undefined) {
      await files.setGood(machine.booted);
      repaired(engine, `host/good was not readable: it is what runs, ${short(machine.booted)}`);
    }
    if (trialRoot(engine) === undefined) {
      await files.setTrial(undefined);
      await engine.node.unmountHostRoots();
    }
    await repairBoot(engine, seed?.app ?? hostApp(engine));
    const left = await looks.endLeft();
    if (left > 0) repaired(engine, `unmounted what was being looked at, ${left} in all`);
  } catch (error) {
    engine.log("error", "host not settled", { ...toFailureDocument(error) });
  }
}

async function repairBoot(engine: Engine, app: string | undefined): Promise<void> {
  const { machine, esp, files } = hostOf(engine);
  const content = await esp.read();
  const repair = repairEsp({
    names: content.files.map(({ name }) => name),
    conf: content.conf,
    versions: app === undefined ? [] : versionsOf(engine, app),
    booted: machine.booted,
    good: await files.good(),
    trial: trialRoot(engine),
  });
  for (const path of content.unfinished) {
    await esp.discard(path);
    repaired(engine, `removed ${path} from the ESP`);
  }
  for (const text of repair.told) engine.log("error", "host", { text });
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
}

function repaired(engine: Engine, what: string): void {
  engine.journal.events.append("host.repaired", { detail: { what } });
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
