import type { Progress } from "../../terminal/progress.ts";
import type { Bases } from "../base/resolve.ts";
import { EMPTY_CHAIN, extendChain } from "../chain.ts";
import { BuildError } from "../error.ts";
import type { Plan } from "../plan.ts";
import type { TakenSteps } from "../step/steps.ts";
import { type LayerShop, packSection, type SectionLayer } from "./layers.ts";

/** The layers of the image, lowest first: those of what it is built on, then one for each section that changed something. */
export async function packSections(
  plan: Plan,
  steps: TakenSteps,
  bases: Bases,
  shop: LayerShop,
  progress: Progress,
): Promise<SectionLayer[]> {
  const { recipe } = bases;
  const from = plan.startsAgain && recipe.deploy?.from !== undefined ? recipe.deploy.from : recipe.base;
  const layers = (bases.baseOf(from)?.layers ?? []).map(
    (layer): SectionLayer => ({ ...layer, section: "base", reused: true }),
  );
  let below = bases.chainOf(from) ?? EMPTY_CHAIN;
  for (const section of ["bootstrap", "deploy"] as const) {
    const made = steps.taken.filter((_, index) => plan.steps[index]?.layer === section);
    const trees = made.flatMap((step) => (step.tree === undefined ? [] : [step.tree]));
    const started = performance.now();
    const layer = await packSection({ section, below, trees }, shop);
    below = extendChain(below, ...trees);
    if (layer === undefined) continue;
    layers.push(layer);
    const state = layer.reused ? "cached" : "done";
    progress({ id: `layer-${section}`, state, text: `layer ${section}`, took: performance.now() - started });
  }
  if (layers.length > 0) return layers;
  throw new BuildError(
    "empty-image",
    `${recipe.file}: expected at least one step that makes a file, since FROM scratch has none`,
  );
}
