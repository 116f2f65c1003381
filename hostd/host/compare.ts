import { Failure, toFailureDocument } from "../../manifests/failure.ts";
import { verityOf } from "../../manifests/image.ts";
import type { Engine } from "../engine.ts";
import type { SlotRow } from "../journal/slots.ts";
import { hostOf, requireBoot } from "./host.ts";
import { type Difference, differenceOf } from "./plan.ts";

/** What makes two versions on this node differ; told by status before anybody asks for the other one. */
export async function compareVersions(engine: Engine, from: SlotRow | undefined, to: SlotRow): Promise<Difference> {
  if (from === undefined) return differenceOf(undefined, requireBoot(to), undefined);
  const byBoot = differenceOf(requireBoot(from), requireBoot(to), []);
  if (!byBoot.hostdOnly) return byBoot;
  return differenceOf(requireBoot(from), requireBoot(to), await changedPaths(engine, from, to));
}

/** What a look at a layer may fail with: no reason to refuse the version. */
const NOT_MOUNTED: ReadonlySet<string> = new Set(["mount-failed", "no-loop-device"]);

/** Paths in which two roots differ, layer by layer; undefined where their layers cannot be told apart that way. */
async function changedPaths(engine: Engine, from: SlotRow, to: SlotRow): Promise<string[] | undefined> {
  const [before, after] = [from, to].map((slot) => slot.manifest.layers.map((layer) => verityOf(layer).root));
  if (before === undefined || after === undefined || before.length !== after.length) return undefined;
  const paths: string[] = [];
  for (const [index, root] of before.entries()) {
    const other = after[index];
    if (other === undefined || other === root) continue;
    try {
      paths.push(...(await hostOf(engine).compareLayers(root, other)));
    } catch (error) {
      if (!(error instanceof Failure) || !NOT_MOUNTED.has(error.code)) throw error;
      engine.log("error", "versions not compared", { from: from.version, to: to.version, ...toFailureDocument(error) });
      return undefined; // a reboot is always right
    }
  }
  return paths;
}
