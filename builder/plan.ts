import type { From, Recipe, Step } from "./recipe/recipe.ts";

/** A step in its place: numbered through the whole recipe, and assigned to the layer that it ends in. */
export interface PlannedStep {
  step: Step;
  /** From 1. */
  index: number;
  total: number;
  /** Section of the recipe it stands in. */
  written: "bootstrap" | "deploy";
  /** Layer of the image it goes into; undefined where DEPLOY starts again and BOOTSTRAP is only read from. */
  layer: "bootstrap" | "deploy" | undefined;
  /** Whose time its files get: the lock's, or that of the deployed commit (docs/adr/0002). */
  clock: "lock" | "deploy";
}

/** What a build does, decided from the recipe alone. */
export interface Plan {
  steps: PlannedStep[];
  /** Every FROM that gives a tree, by reference: bases, and images that COPY or a mount reads. */
  froms: Map<string, From>;
  /** DEPLOY starts again from its own FROM: the image has nothing of BOOTSTRAP but what is copied. */
  startsAgain: boolean;
}

/**
 * Plans a build. Where DEPLOY starts again, the leading steps that read only BOOTSTRAP or other images make the layer
 * `bootstrap`; from the first one that reads the context on it is `deploy`, so an edit ships kilobytes (docs/adr/0003).
 */
export function planBuild(recipe: Recipe): Plan {
  const { deploy } = recipe;
  const startsAgain = deploy?.from !== undefined;
  const deploySteps = deploy?.steps ?? [];
  const leading = startsAgain ? leadingSteps(deploySteps) : 0;
  const total = recipe.bootstrap.length + deploySteps.length;
  const bootstrap = recipe.bootstrap.map((step, index): PlannedStep => {
    const layer = startsAgain ? undefined : "bootstrap";
    return { step, index: index + 1, total, written: "bootstrap", layer, clock: "lock" };
  });
  const deployed = deploySteps.map((step, index): PlannedStep => {
    const number = recipe.bootstrap.length + index + 1;
    const early = index < leading;
    return {
      step,
      index: number,
      total,
      written: "deploy",
      layer: early ? "bootstrap" : "deploy",
      clock: early ? "lock" : "deploy",
    };
  });
  return { steps: [...bootstrap, ...deployed], froms: fromsOf(recipe), startsAgain };
}

function leadingSteps(steps: readonly Step[]): number {
  const first = steps.findIndex((step) => !readsOnlyTrees(step));
  return first < 0 ? steps.length : first;
}

function readsOnlyTrees(step: Step): boolean {
  if (step.kind === "workdir") return true;
  return step.kind === "copy" && step.from.tree !== "context" && step.files.length === 0;
}

function fromsOf(recipe: Recipe): Map<string, From> {
  const mounts = [...steps(recipe), ...recipe.image.tests].flatMap((step) => ("mounts" in step ? step.mounts : []));
  const sources = [
    ...steps(recipe).flatMap((step) => (step.kind === "copy" ? [step.from] : [])),
    ...mounts.flatMap((mount) => (mount.type === "bind" ? [mount.from] : [])),
  ];
  const images = sources.flatMap((source) => (source.tree === "image" ? [source.from] : []));
  const froms = [recipe.base, ...(recipe.deploy?.from === undefined ? [] : [recipe.deploy.from]), ...images];
  return new Map(froms.filter((from) => from.kind !== "scratch").map((from) => [from.reference, from]));
}

function steps(recipe: Recipe): Step[] {
  return [...recipe.bootstrap, ...(recipe.deploy?.steps ?? [])];
}
