import { Failure, toFailureDocument } from "../../manifests/failure.ts";
import { verityOf } from "../../manifests/image.ts";
import { changedFiles, shownFiles } from "../config/files.ts";
import type { Engine } from "../engine.ts";
import type { ConfigBasis } from "../journal/generations.ts";
import type { SlotRow } from "../journal/slots.ts";
import { requireApp } from "../switch/plan.ts";
import { hostOf, requireBoot } from "./host.ts";
import { type Difference, differenceOf, type Way, wayOf } from "./plan.ts";

/** How an upgrade between two versions on this node goes, and why; told by status before anybody asks for it. */
export async function wayTo(
  engine: Engine,
  { from, to, basis, reboot = false }: { from: SlotRow | undefined; to: SlotRow; basis: ConfigBasis; reboot?: boolean },
): Promise<Way> {
  const key = `difference ${from?.image} ${to.image}`;
  const rebootFor = (code: string) => (error: unknown) => {
    if (!(error instanceof Failure) || error.code !== code) throw error;
    const versions = { from: from?.version, to: to.version };
    engine.log("error", "versions not compared", { ...versions, ...toFailureDocument(error) });
    return differenceOf(from && requireBoot(from), requireBoot(to), undefined); // a reboot is always right
  };
  const difference = await engine
    .memo(key, () => compareVersions(engine, from, to).catch(rebootFor("mount-failed"))) // its file stays what it is
    .catch(rebootFor("no-loop-device")); // there may be one the next time
  if (from === undefined || !difference.hostdOnly) return { ...difference, live: false };
  const { machine, etc } = hostOf(engine);
  const paths = requireApp(to).config.map(({ path }) => path);
  return wayOf(difference, {
    reboot,
    guarded: await machine.isGuarded(),
    config: [...changedConfig(engine, from, to, basis), ...(await etc.undeclared(machine.booted, paths))],
    etcAlike: await etc.isAlike(requireBoot(to).root, machine.booted),
  });
}

/** Files that the other version's CONFIG would make other ones; all of them where that cannot be told. */
function changedConfig(engine: Engine, from: SlotRow, to: SlotRow, basis: ConfigBasis): string[] {
  const { apps, generations } = engine.journal;
  const { app } = to;
  const current = apps.get(app)?.current;
  const files = requireApp(to).config;
  try {
    const before = generations.config(app, generations.require(app, current ?? 0).config);
    const now = shownFiles(engine, app, requireApp(from).config, before);
    return changedFiles(now, shownFiles(engine, app, files, basis)).map(({ path }) => path);
  } catch {
    return files.map(({ path }) => path); // the upgrade itself says what is missing
  }
}

async function compareVersions(engine: Engine, from: SlotRow | undefined, to: SlotRow): Promise<Difference> {
  if (from === undefined) return differenceOf(undefined, requireBoot(to), undefined);
  const byBoot = differenceOf(requireBoot(from), requireBoot(to), []);
  if (!byBoot.hostdOnly) return byBoot;
  return differenceOf(requireBoot(from), requireBoot(to), await changedPaths(engine, from, to));
}

/** Paths in which two roots differ, layer by layer; undefined where their layers cannot be told apart that way. */
async function changedPaths(engine: Engine, from: SlotRow, to: SlotRow): Promise<string[] | undefined> {
  const [before, after] = [from, to].map((slot) => slot.manifest.layers.map((layer) => verityOf(layer).root));
  if (before === undefined || after === undefined || before.length !== after.length) return undefined;
  const paths: string[] = [];
  for (const [index, root] of before.entries()) {
    const other = after[index];
    if (other === undefined || other === root) continue;
    paths.push(...(await hostOf(engine).compareLayers(root, other)));
  }
  return paths;
}
