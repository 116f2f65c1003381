import type { Store } from "../../images/store.ts";
import type { Base } from "../base/shop.ts";
import type { Cache } from "../cache/cache.ts";
import type { Chain, Views } from "../chain.ts";
import { BuildError } from "../error.ts";
import type { From, Step, TreeSource } from "../recipe/recipe.ts";
import type { Context } from "../source/context.ts";
import type { ListedEntry } from "../tree/listing.ts";
import type { StepInputs } from "./inputs.ts";

/** Where the value of `--mount=type=secret,id=...` comes from. */
export type SecretSource = { file: string } | { env: string };

/** What every step of a build works with. */
export interface StepShop {
  cache: Cache;
  store: Store;
  views: Views;
  recipeFile: string;
  context: Context;
  /** The finished BOOTSTRAP; empty while it is being made. */
  bootstrap: Chain;
  /** Trees of the images that `--from` and bind mounts name. */
  imageTree(from: From): Chain;
  secrets: Readonly<Record<string, SecretSource>>;
  signal: AbortSignal;
  onOutput(text: string): void;
}

/** A step whose inputs are known: its key can be looked up before anything is made. */
export interface PreparedStep {
  inputs: StepInputs;
  /** Fills `<tree>/root` (missing so far) with the step's upper directory and lists it; `work` is for anything else. */
  make(tree: string, work: string): Promise<ListedEntry[]>;
}

export interface StepPlace {
  below: Chain;
  /** `2/5`, for messages. */
  number: string;
  /** Seconds since 1970: times in the result are clamped to it. */
  epoch: number;
}

/** `file:line: step 2/5:`, before what went wrong with a step. */
export function placeOf(shop: StepShop, place: StepPlace, step: Step): string {
  return `${shop.recipeFile}:${step.position.line}: step ${place.number}:`;
}

/** Adds the step's place to an error that has none. */
export async function at<T>(shop: StepShop, place: StepPlace, step: Step, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    if (!(error instanceof BuildError) || error.message.startsWith(`${shop.recipeFile}:`)) throw error;
    const { code, hint, details } = error;
    throw new BuildError(code, `${placeOf(shop, place, step)} ${step.text}: ${error.message}`, {
      hint,
      details,
      cause: error,
    });
  }
}

/** The chain of trees that `--from` means, and its name in messages; undefined is the build context. */
export function treeOf(shop: StepShop, from: TreeSource): { chain: Chain; name: string } | undefined {
  switch (from.tree) {
    case "context":
      return undefined;
    case "bootstrap":
      return { chain: shop.bootstrap, name: "the BOOTSTRAP tree" };
    case "image":
      return { chain: shop.imageTree(from.from), name: from.from.reference };
  }
}

export type { Base };
