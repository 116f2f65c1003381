import { verityOf } from "../../manifests/image.ts";
import type { Engine } from "../engine.ts";
import type { SlotRow } from "../journal/slots.ts";
import { hostOf, requireBoot } from "./host.ts";
import { wayTo } from "./plan.ts";

/** How the host gets from one version to another, and why; told by status before anybody asks for it. */
export async function wayBetween(engine: Engine, from: SlotRow | undefined, to: SlotRow) {
  if (from === undefined) return wayTo(undefined, requireBoot(to), undefined);
  const byBoot = wayTo(requireBoot(from), requireBoot(to), []);
  if (byBoot.way === "reboot") return byBoot;
  return wayTo(requireBoot(from), requireBoot(to), await differences(engine, from, to));
}

/** Paths in which two roots differ, layer by layer; undefined where their layers cannot be told apart that way. */
async function differences(engine: Engine, from: SlotRow, to: SlotRow): Promise<string[] | undefined> {
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
