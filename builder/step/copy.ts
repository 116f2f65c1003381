import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { keyOf } from "../cache/cache.ts";
import { closureOf } from "../closure/closure.ts";
import { materialise } from "../copy/materialise.ts";
import { planCopy } from "../copy/plan.ts";
import { type CopySource, contextSources, treeSources } from "../copy/sources.ts";
import { BUILD_FORMAT } from "../format.ts";
import type { CopyStep } from "../recipe/recipe.ts";
import { joinPath } from "../tree/bytes.ts";
import type { ListedEntry } from "../tree/listing.ts";
import { inputsOf, recordRead } from "./inputs.ts";
import { type PreparedStep, type StepPlace, type StepShop, treeOf } from "./shop.ts";

/** What a COPY takes, found once: its digests for the key, the entries when it has to be made. */
interface Found {
  sources: CopySource[];
  /** Libraries and links that `--closure` adds. */
  also: ListedEntry[];
}

/** A COPY is keyed by the content of its sources: of the context, or of the tree that `--from` names. */
export async function prepareCopy(step: CopyStep, place: StepPlace, shop: StepShop): Promise<PreparedStep> {
  const source = treeOf(shop, step.from);
  if (source === undefined) {
    const sources = contextSources(step, shop.context, place.epoch);
    return prepared(step, place, shop, await readsOf(shop, step, { sources, also: [] }), async () => ({
      sources,
      also: [],
    }));
  }
  const find = async (): Promise<Found> => {
    const tree = await shop.views(source.chain);
    const sources = treeSources(step, tree, source.name);
    return { sources, also: step.closure ? closureOf(tree, sources.flatMap(wholeTree)).entries : [] };
  };
  // what the sources in a tree of known content are can be known without reading the tree
  const fact = keyOf({
    format: BUILD_FORMAT,
    fact: "copy",
    tree: source.chain.id,
    step: inputsOf(step, "", 0, {}).instruction,
  });
  const known = await shop.cache.get<Record<string, string>>("facts", fact);
  if (known !== undefined) return prepared(step, place, shop, known, find);
  const found = await find();
  const reads = await readsOf(shop, step, found);
  await shop.cache.put("facts", fact, reads);
  return prepared(step, place, shop, reads, async () => found);
}

function prepared(
  step: CopyStep,
  place: StepPlace,
  shop: StepShop,
  reads: Record<string, string>,
  find: () => Promise<Found>,
): PreparedStep {
  return {
    inputs: inputsOf(step, place.below.id, place.epoch, reads),
    async make(tree) {
      const { sources, also } = await find();
      const entries = planCopy(step, await shop.views(place.below), sources, also, place.epoch);
      const root = join(tree, "root");
      await mkdir(root);
      return materialise(
        entries.map((entry) => clamp(entry, place.epoch)),
        root,
      );
    },
  };
}

async function readsOf(shop: StepShop, step: CopyStep, found: Found): Promise<Record<string, string>> {
  const withTimes = step.from.tree !== "context";
  const from =
    step.from.tree === "bootstrap"
      ? "--from=bootstrap "
      : step.from.tree === "image"
        ? `--from=${step.from.from.reference} `
        : "";
  const reads: Record<string, string> = {};
  for (const source of found.sources) {
    reads[`COPY ${from}${source.label}`] = await recordRead(shop.cache, wholeTree(source), withTimes);
  }
  if (found.also.length > 0) reads["COPY --closure"] = await recordRead(shop.cache, found.also, withTimes);
  return reads;
}

function wholeTree(source: CopySource): ListedEntry[] {
  return [source.root, ...source.inside.map((entry) => ({ ...entry, path: joinPath(source.root.path, entry.path) }))];
}

function clamp(entry: ListedEntry, epoch: number): ListedEntry {
  return { ...entry, mtime: { seconds: Math.min(entry.mtime.seconds, epoch), nanoseconds: 0 } };
}
