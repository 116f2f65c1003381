import { nearest } from "../../terminal/nearest.ts";
import { type Draft, openDraft } from "./draft.ts";
import { RecipeError } from "./error.ts";
import { checkConfig } from "./instructions/data.ts";
import { checkKind } from "./instructions/kind.ts";
import { checkSwitch } from "./instructions/switch.ts";
import { INSTRUCTIONS } from "./instructions/table.ts";
import { LIMITS } from "./limits.ts";
import { isName, nameFromFile } from "./name.ts";
import { collecting, type Problem, ProblemFound, quote } from "./problem.ts";
import type { AppDeclarations, ParseOptions, Recipe } from "./recipe.ts";
import { openScope, sorted } from "./scope.ts";
import { mapLine, positionAt, problemAt, readSource, type Source } from "./source.ts";
import { atKeyword, fail, type Instruction, splitInstructions } from "./split.ts";

/** ARGs every build knows, and those of proxies: a value for one that the recipe does not declare is no mistake. */
const PREDEFINED = /^(?:(?:TARGET|BUILD)(?:PLATFORM|OS|ARCH|VARIANT)|SOURCE_DATE_EPOCH|(?:https?|ftp|no|all)_proxy)$/i;

/**
 * Reads a recipe (docs/recipe.md). Pure: no file, clock or machine is looked at. Throws one RecipeError that holds every
 * problem found; what is allowed but suspicious stands in `warnings`.
 */
export function parseRecipe(text: string | Uint8Array, file: string, options: ParseOptions = {}): Recipe {
  const draft = openDraft(options);
  const source = collecting(draft.problems, () => readSource(text, file));
  if (source === undefined) throw recipeError(draft.problems);
  const { instructions, problems, warnings } = splitInstructions(source);
  draft.problems.push(...problems);
  draft.warnings.push(...warnings);
  for (const instruction of instructions) {
    if (draft.stopped || draft.problems.length >= LIMITS.problems) break;
    collecting(draft.problems, () => apply(instruction, draft));
  }
  const recipe = collecting(draft.problems, () => finish(draft, source));
  if (recipe === undefined || draft.problems.length > 0) throw recipeError(draft.problems);
  return recipe;
}

function apply(instruction: Instruction, draft: Draft): void {
  const kind = INSTRUCTIONS.get(instruction.keyword);
  if (kind === undefined) throw new ProblemFound(unknownInstruction(instruction));
  if (draft.phase === "preamble" && kind.preamble === undefined) {
    draft.phase = "bootstrap";
    draft.scope = openScope(undefined, undefined);
    if (draft.base === undefined) draft.problems.push(missingFrom(instruction));
  }
  if (kind.preamble === undefined) draft.began = true;
  if (kind.heredocs === undefined) refuseHeredoc(instruction);
  kind.read(instruction, draft);
  if (kind.declares) draft.declared.push(instruction);
}

function finish(draft: Draft, source: Source): Recipe {
  const { base, options } = draft;
  const name = options.name ?? nameFromFile(source.file);
  const noName = name === undefined || !isName(name) ? [atTop(source, badName(options.name ?? source.file))] : [];
  const noFrom = base === undefined && draft.problems.length === 0 ? [atTop(source, emptyRecipe())] : [];
  const checked = [
    ...undeclaredArgs(draft, source),
    ...checkSwitch(draft),
    ...checkKind(draft),
    ...checkConfig(draft),
    ...loneResume(draft),
  ];
  const problems = [...noName, ...noFrom, ...checked];
  if (problems.length > 0 || base === undefined || name === undefined) throw new ProblemFound(...problems);
  return {
    name,
    file: source.file,
    base: base.from,
    bootstrap: draft.bootstrap,
    deploy: draft.deploy,
    image: declarations(draft),
    args: Object.fromEntries([...draft.args].sort(([a], [b]) => (a < b ? -1 : 1))),
    warnings: draft.warnings,
  };
}

function declarations(draft: Draft): AppDeclarations {
  const { scope } = draft;
  const { labels, expose, healthcheck, ...image } = draft.image;
  return {
    ...image,
    health: healthcheck === undefined ? image.health : [...image.health, healthcheck],
    env: sorted(scope.env),
    workdir: scope.hasWorkdir ? scope.workdir : undefined,
    user: scope.user,
    labels: sorted(labels),
    expose: [...expose],
    ofApp: firstOfApp(draft),
  };
}

function firstOfApp({ declared, image }: Draft): AppDeclarations["ofApp"] {
  const isTakenAway = (keyword: string) => keyword === "HEALTHCHECK" && image.healthcheck === undefined;
  const first = declared.find(({ keyword }) => INSTRUCTIONS.get(keyword)?.declares === "app" && !isTakenAway(keyword));
  return first && { keyword: first.keyword, position: positionAt(first.line, first.start) };
}

function unknownInstruction(instruction: Instruction): Problem {
  const words = [...INSTRUCTIONS.keys()];
  const suggestion = nearest(instruction.word, words);
  return atKeyword(instruction, {
    code: "unknown-instruction",
    message: `unknown instruction ${quote(instruction.word)}`,
    expected: suggestion === undefined ? `one of ${words.toSorted().join(", ")}` : "an instruction",
    suggestion,
  });
}

function refuseHeredoc(instruction: Instruction): void {
  const [first] = instruction.heredocs;
  if (first === undefined) return;
  fail(instruction, first.start, first.end, {
    code: "bad-heredoc",
    message: `${instruction.keyword} takes no heredoc`,
    expected: "its words on the line; quotes keep << as it is",
  });
}

function missingFrom(instruction: Instruction): Problem {
  return atKeyword(instruction, {
    code: "missing-from",
    message: `${instruction.keyword} stands above FROM`,
    expected: "FROM and a reference first, such as FROM debian:bookworm",
  });
}

function emptyRecipe() {
  return {
    code: "missing-from",
    message: "recipe has no FROM",
    expected: "FROM and a reference, such as FROM debian:bookworm",
  } as const;
}

function badName(word: string) {
  return {
    code: "bad-value",
    message: `bad product name ${quote(word)}`,
    expected: "lower-case letters, digits and -, at most 63, as in shop.recipe",
  } as const;
}

/** A value for an ARG that nothing declares changes nothing: it is a typing mistake. */
function undeclaredArgs(draft: Draft, source: Source): Problem[] {
  const unknown = Object.keys(draft.options.args ?? {}).filter(
    (name) => !draft.args.has(name) && !PREDEFINED.test(name),
  );
  return unknown.map((name) =>
    atTop(source, {
      code: "unknown-variable",
      message: `a value is given for ARG ${quote(name)}, which the recipe does not declare`,
      expected: draft.args.size === 0 ? "no values" : [...draft.args.keys()].join(", "),
      suggestion: nearest(name, draft.args.keys()),
    }),
  );
}

/** What is never made quiet is never resumed either. */
function loneResume(draft: Draft): Problem[] {
  const alone = draft.image.hooks.resume !== undefined && draft.image.hooks.quiesce === undefined;
  return draft.declared
    .filter(({ keyword }) => alone && keyword === "RESUME")
    .map((instruction) =>
      atKeyword(instruction, { code: "bad-syntax", message: "RESUME without QUIESCE", expected: "a QUIESCE hook too" }),
    );
}

function atTop(source: Source, text: Parameters<typeof problemAt>[3]): Problem {
  const length = source.lines[0]?.length ?? 0;
  return problemAt(mapLine(source, 0, 0, length), 0, length, text);
}

function recipeError(problems: readonly Problem[]): RecipeError {
  const [first, ...rest] = problems;
  if (first === undefined) throw new Error("a recipe was refused without a problem");
  return new RecipeError([first, ...rest]);
}
