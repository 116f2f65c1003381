import type { Digest } from "../../manifests/digest.ts";
import type { Lock } from "../../manifests/lock.ts";
import type { Progress } from "../../terminal/progress.ts";
import { type Chain, EMPTY_CHAIN, extendChain } from "../chain.ts";
import { parseEnv } from "../output/config.ts";
import { planBuild } from "../plan.ts";
import type { From, Inherited, ParseOptions, Recipe } from "../recipe/recipe.ts";
import { openBase } from "./base.ts";
import { expectPinned, type LockUse, readLock, writeLock } from "./lock.ts";
import type { Base, BaseShop } from "./shop.ts";

/** Every FROM of a recipe made real, held to the lock. */
export interface Bases {
  /** Parsed with what the base images bring. */
  recipe: Recipe;
  /** BOOTSTRAP's file times, seconds since 1970. */
  epoch: number;
  digests: Record<string, Digest>;
  /** The base of a FROM; undefined for scratch. */
  baseOf(from: From): Base | undefined;
  chainOf(from: From): Chain;
}

export interface BasesInput {
  parse(options: ParseOptions): Recipe;
  recipeFile: string;
  use: LockUse;
  /** BOOTSTRAP's time where no lock says one yet. */
  epoch: number;
  shop: Omit<BaseShop, "epoch" | "onOutput">;
  progress: Progress;
}

/** Opens all bases and writes the lock, so that a step that fails later does not cost them again. */
export async function openBases(input: BasesInput): Promise<Bases> {
  const lock = await readLock(input.recipeFile, input.use);
  const epoch = input.use === "update" ? input.epoch : (lock?.epoch ?? input.epoch);
  const recipe = input.parse({});
  const bases = new Map<string, Base>();
  for (const from of planBuild(recipe).froms.values()) {
    bases.set(from.reference, await openPinned(from, lock, epoch, input));
  }
  const digests = Object.fromEntries([...bases].map(([reference, base]) => [reference, base.digest]).sort());
  const next: Lock = { schema: 1, epoch, bases: digests };
  await writeLock(input.recipeFile, lock, next, input.use);

  const baseOf = (from: From) => bases.get(from.reference);
  return {
    recipe: withInherited(recipe, baseOf, input),
    epoch,
    digests,
    baseOf,
    chainOf: (from) => extendChain(EMPTY_CHAIN, ...(baseOf(from)?.trees ?? [])),
  };
}

async function openPinned(from: From, lock: Lock | undefined, epoch: number, input: BasesInput): Promise<Base> {
  const isUpdate = input.use === "update";
  const pinned = isUpdate ? undefined : lock?.bases[from.reference];
  const id = `from-${from.reference}`;
  const started = performance.now();
  const event = { id, text: `FROM ${from.reference}` };
  input.progress({ ...event, state: "started" });
  const onOutput = (text: string) => input.progress({ id, state: "output", text });
  try {
    const base = await openBase(from, pinned, isUpdate, { ...input.shop, epoch, onOutput });
    expectPinned(from.reference, pinned, base.digest, input.recipeFile);
    input.progress({ ...event, state: "done", took: performance.now() - started });
    return base;
  } catch (error) {
    input.progress({ ...event, state: "failed" });
    throw error;
  }
}

/** An image's ENV, WORKDIR and USER reach into the recipe: it is read again with them. */
function withInherited(recipe: Recipe, baseOf: (from: From) => Base | undefined, input: BasesInput): Recipe {
  const base = inheritedOf(baseOf(recipe.base));
  const deployBase = recipe.deploy?.from === undefined ? undefined : inheritedOf(baseOf(recipe.deploy.from));
  if (base === undefined && deployBase === undefined) return recipe;
  return input.parse({ ...(base === undefined ? {} : { base }), ...(deployBase === undefined ? {} : { deployBase }) });
}

function inheritedOf(base: Base | undefined): Inherited | undefined {
  if (base?.config === undefined) return undefined;
  const { Env, WorkingDir, User } = base.config;
  return { env: parseEnv(Env), workdir: WorkingDir || undefined, user: User || undefined };
}
