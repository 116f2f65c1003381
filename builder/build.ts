import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { openStore } from "../images/store.ts";
import type { Compression } from "../images/zstd.ts";
import type { App } from "../manifests/app.ts";
import type { Boot } from "../manifests/boot.ts";
import type { Digest } from "../manifests/digest.ts";
import type { Descriptor } from "../manifests/image.ts";
import type { Progress } from "../terminal/progress.ts";
import { type Bases, openBases } from "./base/resolve.ts";
import { bootPaths, makeBoot } from "./boot/boot.ts";
import type { Signer } from "./boot/sign.ts";
import { openCache } from "./cache/cache.ts";
import { type Chain, openViews } from "./chain.ts";
import { expectRoot, explained } from "./failure.ts";
import { appDocument } from "./output/app.ts";
import { writeImage } from "./output/image.ts";
import type { SectionLayer } from "./output/layers.ts";
import { packSections } from "./output/sections.ts";
import { type Plan, planBuild } from "./plan.ts";
import { nameFromFile } from "./recipe/name.ts";
import { parseRecipe } from "./recipe/parse.ts";
import type { TestDeclaration } from "./recipe/recipe.ts";
import { renderProblem } from "./recipe/render.ts";
import { openSources, readRecipeFile, type Sources } from "./source/open.ts";
import type { SecretSource, StepShop } from "./step/shop.ts";
import { type StepReport, takeSteps } from "./step/steps.ts";

export interface BuildOptions {
  recipeFile: string;
  /** Default: the recipe's own directory. */
  context?: string | undefined;
  /** Directory with `store/` and `cache/`. */
  home: string;
  /** Move the lock to what FROM gives now. */
  update?: boolean | undefined;
  /** CI: a missing lock, or a base that is not the pinned one, is an error. */
  locked?: boolean | undefined;
  /** Make every step anew; the pinned base is kept. */
  noCache?: boolean | undefined;
  compression?: Compression | undefined;
  progress: Progress;
  signal: AbortSignal;
  /** Seconds since 1970 for DEPLOY's file times; default SOURCE_DATE_EPOCH, else the commit's time, else 1980. */
  epoch?: number | undefined;
  /** Values of ARGs. */
  args?: Readonly<Record<string, string>> | undefined;
  secrets?: Readonly<Record<string, SecretSource>> | undefined;
  /** Signs the UKI of a host image for Secure Boot. */
  ukiSigner?: Signer | undefined;
  /** Another build cache than `home`/cache. */
  cacheDirectory?: string | undefined;
  /** false leaves NAME:latest where it is. */
  tag?: boolean | undefined;
}

export interface BuiltLayer {
  section: "base" | "bootstrap" | "deploy";
  digest: Digest;
  diffId: Digest;
  /** Bytes of the compressed layer. */
  size: number;
  /** The blob was there before: nothing was packed. */
  reused: boolean;
}

/** What went into an image: provenance is made from it. */
export interface BuildInputs {
  recipe: Digest;
  bases: Record<string, Digest>;
  /** DEPLOY's file times, seconds since 1970. */
  epoch: number;
  commit?: string;
  /** Text of the steps that had network. */
  network: string[];
}

/** The built tree on this machine, for what runs in it: tests. Never part of a document. */
export interface BuiltTree {
  image: Chain;
  shop: StepShop;
  /** Seconds since 1970. */
  epoch: number;
}

export interface BuildResult {
  name: string;
  descriptor: Descriptor;
  /** Name in the store: `shop:latest`. */
  reference: string;
  layers: BuiltLayer[];
  steps: StepReport[];
  inputs: BuildInputs;
  /** What the commit does not hold of all that was read so far, by a TEST of the result too; see GitState. */
  uncommitted(): Promise<string[]>;
  app: App | undefined;
  /** How it is booted; undefined where it is no host image. */
  boot: Boot | undefined;
  tests: TestDeclaration[];
  /** What in the recipe is allowed but probably not meant, readable. */
  warnings: string[];
  tree: BuiltTree;
  /** Milliseconds. */
  took: number;
}

/**
 * Builds a recipe into an image in `home`/store, tagged NAME:latest, and takes from the cache all whose inputs are the
 * same. Throws RecipeError for the recipe's text and BuildError for everything else; then no tag has moved.
 */
export async function build(options: BuildOptions): Promise<BuildResult> {
  expectRoot();
  await mkdir(options.home, { recursive: true });
  return explained(options.home, options.signal, () => buildImage(options));
}

async function buildImage(options: BuildOptions): Promise<BuildResult> {
  const started = performance.now();
  const { home, signal, progress, compression = "zstd" } = options;
  const recipeFile = resolve(options.recipeFile);
  const { text, digest } = await readRecipeFile(options.recipeFile);
  const name = nameFromFile(recipeFile); // a bare Dockerfile is named for its directory, wherever the caller stands
  const given = { args: options.args ?? {}, ...(name === undefined ? {} : { name }) };
  const parse = (known: object) => parseRecipe(text, options.recipeFile, { ...known, ...given });
  parse({}); // a mistake in the recipe is told before anything is opened
  const cache = await openCache(options.cacheDirectory ?? join(home, "cache"));
  const store = await openStore(join(home, "store"));
  const views = openViews(cache);

  const sources = await openSources({ recipeFile, context: options.context, home, epoch: options.epoch, cache });
  const baseShop = { cache, store, compression, signal, recipeDirectory: dirname(recipeFile) };
  const bases = await openBases({
    parse,
    recipeFile,
    use: lockUse(options),
    epoch: sources.epoch,
    shop: baseShop,
    progress,
  });
  const inherited = bases.baseOf(bases.recipe.deploy?.from ?? bases.recipe.base)?.config;
  const app = appDocument(bases.recipe, inherited, sources.context);
  const plan = planBuild(bases.recipe);
  const shop = {
    ...{ cache, store, views, signal, context: sources.context, secrets: options.secrets ?? {} },
    recipeFile: options.recipeFile,
    imageTree: bases.chainOf,
  };
  const { epoch } = sources;
  const steps = await takeSteps({ plan, bases, recipeFile, epoch, shop, noCache: options.noCache === true, progress });
  const declared = bases.recipe.image.boot;
  const tree = declared === undefined ? undefined : await views(steps.image);
  const left = declared === undefined || tree === undefined ? new Set<string>() : bootPaths(declared, tree);
  const layers = await packSections(plan, steps, bases, { cache, store, views, compression, left }, progress);
  const bootInput = { recipe: bases.recipe, layers: layers.map(({ descriptor }) => descriptor), store };
  const boot =
    declared === undefined || tree === undefined
      ? undefined
      : await makeBoot({ ...bootInput, declared, tree, signer: options.ukiSigner });
  const input = { recipe: bases.recipe, app, inherited, layers, epoch, boot };
  const image = await writeImage(store, input, options.tag ?? true);
  await sources.save();
  return {
    name: bases.recipe.name,
    ...image,
    app,
    boot,
    layers: layers.map(describeLayer),
    steps: steps.reports,
    inputs: inputsOf(digest, bases, sources, plan),
    uncommitted: () => sources.git.uncommitted(sources.context.taken),
    tests: bases.recipe.image.tests,
    warnings: bases.recipe.warnings.map(renderProblem),
    tree: { image: steps.image, epoch, shop: { ...shop, bootstrap: steps.bootstrap, onOutput: () => {} } },
    took: performance.now() - started,
  };
}

function lockUse(options: BuildOptions) {
  if (options.update === true) return "update";
  return options.locked === true ? "locked" : "keep";
}

function describeLayer({ section, descriptor, diffId, reused }: SectionLayer): BuiltLayer {
  return { section, digest: descriptor.digest, diffId, size: descriptor.size, reused };
}

function inputsOf(recipe: Digest, bases: Bases, sources: Sources, plan: Plan): BuildInputs {
  const online = plan.steps.filter(({ step }) => step.kind === "run" && step.network === "default");
  const { commit } = sources.git;
  return {
    recipe,
    bases: bases.digests,
    epoch: sources.epoch,
    ...(commit === undefined ? {} : { commit }),
    network: online.map(({ step }) => step.text),
  };
}

export type { StepReport };
