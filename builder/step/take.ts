import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { isReservedName } from "../../images/layer/markers.ts";
import { type Chain, extendChain } from "../chain.ts";
import { BuildError } from "../error.ts";
import type { Step } from "../recipe/recipe.ts";
import { fromBinary } from "../tree/bytes.ts";
import type { ListedEntry } from "../tree/listing.ts";
import { prepareCopy } from "./copy.ts";
import { type StepInputs, stepKey } from "./inputs.ts";
import { prepareRun } from "./run.ts";
import { at, type PreparedStep, type StepPlace, type StepShop } from "./shop.ts";
import { prepareWorkdir } from "./workdir.ts";

/** What the cache remembers of a step. */
interface StepRecord {
  /** The tree it made; undefined where it changed nothing. */
  tree: string | undefined;
}

export interface TakenStep {
  chain: Chain;
  key: string;
  inputs: StepInputs;
  /** The step's own tree; undefined where it changed nothing. */
  tree: Chain["trees"][number] | undefined;
  cached: boolean;
}

/** Finds out what a step depends on. Errors carry the step's place. */
export function prepareStep(step: Step, place: StepPlace, shop: StepShop): Promise<PreparedStep> {
  return at(shop, place, step, async () => {
    switch (step.kind) {
      case "run":
        return prepareRun(step, place, shop);
      case "copy":
        return prepareCopy(step, place, shop);
      case "workdir":
        return prepareWorkdir(step, place, shop);
    }
  });
}

/** The step's result from the cache; undefined where it has to be made. */
export async function findStep(prepared: PreparedStep, below: Chain, shop: StepShop): Promise<TakenStep | undefined> {
  const key = stepKey(prepared.inputs);
  const record = await shop.cache.get<StepRecord>("steps", key);
  if (record === undefined) return undefined;
  const taken = { key, inputs: prepared.inputs, cached: true };
  if (record.tree === undefined) return { ...taken, chain: below, tree: undefined };
  const tree = await shop.cache.tree(record.tree);
  return tree === undefined ? undefined : { ...taken, chain: extendChain(below, tree), tree };
}

/** Makes the step and remembers it, the record last: a build that is killed leaves no half result. */
export async function makeStep(
  step: Step,
  prepared: PreparedStep,
  place: StepPlace,
  shop: StepShop,
): Promise<TakenStep> {
  const key = stepKey(prepared.inputs);
  const made = { key, inputs: prepared.inputs, cached: false };
  const { below } = place;
  return at(shop, place, step, () =>
    shop.cache.withWork(async (work) => {
      const directory = join(work, "tree");
      await mkdir(directory);
      const entries = await prepared.make(directory, work);
      expectNames(entries);
      const isChange = entries.length > 1 || !isSameRoot(entries[0], (await shop.views(below)).at(""));
      const tree = isChange ? await shop.cache.keepTree(directory, entries, below.id) : undefined;
      await shop.cache.put("steps", key, { tree: tree?.id } satisfies StepRecord);
      return { ...made, chain: tree === undefined ? below : extendChain(below, tree), tree };
    }),
  );
}

/** Told here, where it has a line of the recipe, not when the layer is packed. */
function expectNames(entries: readonly ListedEntry[]): void {
  const reserved = entries.find((entry) => isReservedName(entry.path));
  if (reserved === undefined) return;
  const message = `/${fromBinary(reserved.path)}: expected no name that starts with .wh., which says in a layer what is gone`;
  throw new BuildError("path", message, { hint: "leave it out: COPY --exclude, .dockerignore, or rm in the same RUN" });
}

/** A step that leaves the tree as it was makes none of its own: no empty layer, no needless overlay. */
function isSameRoot(made: ListedEntry | undefined, before: ListedEntry | undefined): boolean {
  const attributes = (entry: ListedEntry | undefined) => [
    entry?.mode,
    entry?.uid,
    entry?.gid,
    [...(entry?.xattrs ?? [])],
  ];
  return JSON.stringify(attributes(made)) === JSON.stringify(attributes(before));
}
