import { RecipeError } from "../../../../builder/recipe/error.ts";
import { parseRecipe } from "../../../../builder/recipe/parse.ts";
import type { CopyStep, ParseOptions, Recipe, RunStep } from "../../../../builder/recipe/recipe.ts";
import { renderProblem } from "../../../../builder/recipe/render.ts";

/** Parses lines as `shop.recipe`. */
export function read(text: string | Uint8Array, options: ParseOptions = {}): Recipe {
  return parseRecipe(text, "shop.recipe", options);
}

/** Parses instructions below `FROM debian:bookworm`. */
export function readBelow(text: string, options: ParseOptions = {}): Recipe {
  return read(`FROM debian:bookworm\n${text}`, options);
}

export function runOf(text: string): RunStep {
  const step = readBelow(text).bootstrap.at(-1);
  if (step?.kind !== "run") throw new Error(`expected a RUN step, got ${step?.kind}`);
  return step;
}

export function copyOf(text: string): CopyStep {
  const step = readBelow(text).bootstrap.at(-1);
  if (step?.kind !== "copy") throw new Error(`expected a COPY step, got ${step?.kind}`);
  return step;
}

/** The error's whole text; an accepted recipe fails the test. */
export function errorOf(text: string | Uint8Array, options: ParseOptions = {}, file = "shop.recipe"): string {
  return refusedBy(text, options, file).message;
}

export function refusedBy(text: string | Uint8Array, options: ParseOptions = {}, file = "shop.recipe"): RecipeError {
  try {
    parseRecipe(text, file, options);
  } catch (error) {
    if (error instanceof RecipeError) return error;
    throw error;
  }
  throw new Error("expected the recipe to be refused, it was accepted");
}

export function warningsOf(text: string, options: ParseOptions = {}): string {
  return read(text, options).warnings.map(renderProblem).join("\n\n");
}
