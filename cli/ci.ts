import { readFileSync } from "node:fs";
import { type CiResult, runCi } from "../builder/ci/ci.ts";
import { describeUnnamed } from "../builder/ci/unnamed.ts";
import { shortDigest } from "../manifests/digest.ts";
import { EXIT_CODES } from "../manifests/failure.ts";
import { table } from "../terminal/table.ts";
import type { Answer, Verb } from "../terminal/verb.ts";
import { homeOption, passphraseOption, sealerOption, stringOption } from "./trust-options.ts";

const LAST_LINES = 20;
const SHOWN_PATHS = 5;

export const verb: Verb = {
  name: "ci",
  summary: "build a recipe, run its tests in the image, and mark the image green or red",
  arguments: [{ name: "<recipe>", summary: "recipe file" }],
  options: [
    { flags: "--context <dir>", summary: "what COPY reads from (default: the recipe's directory)" },
    { flags: "--locked", summary: "fail when a base is not the one in the lock (the default when CI is set)" },
    { flags: "--no-locked", summary: "write a missing lock, also when CI is set" },
    { flags: "--no-cache", summary: "run every step again" },
    passphraseOption,
  ],
  examples: ["ostler ci recipes/shop/shop.recipe"],
  async run({ arguments: [recipe], options, progress, signal }) {
    const home = homeOption(options);
    const result = await runCi({
      recipeFile: typeof recipe === "string" ? recipe : "",
      context: stringOption(options, "context"),
      directory: home.directory,
      home,
      locked: typeof options["locked"] === "boolean" ? options["locked"] : isCi(process.env["CI"]),
      noCache: options["cache"] === false,
      sealer: await sealerOption(options),
      version: JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version,
      progress,
      signal,
    });
    return answer(result);
  },
};

function answer({ built, suites, mark, uncommitted, unnamed }: CiResult): Answer {
  const { name, descriptor, inputs, took } = built;
  const failed = suites.filter(({ exitCode, timedOut }) => exitCode !== 0 || timedOut);
  const rows = suites.map((suite) => {
    const verdict = suite.timedOut ? "took too long" : suite.exitCode === 0 ? "passed" : `exit code ${suite.exitCode}`;
    return [
      suite.name,
      verdict,
      String(suite.passed.length),
      String(suite.failed.length),
      `${Math.round(suite.took)} ms`,
    ];
  });
  const clean = inputs.commit !== undefined && uncommitted.length === 0;
  const text = [
    ...(rows.length === 0 ? [] : [table(["SUITE", "VERDICT", "PASSED", "FAILED", "TOOK"], rows), ""]),
    ...failed.flatMap((suite) => [`${suite.name} failed: ${suite.failed.join(", ")}`, lastLines(suite.output), ""]),
    ...(clean ? [] : [describeDirty(inputs.commit, uncommitted)]),
    ...unnamed.map(describeUnnamed),
    ...(mark === "none" ? ["no mark: the recipe declares no TEST; `ostler mark` records a person's verdict"] : []),
    `${name} ${shortDigest(descriptor.digest)}`,
    ...(mark === "none" ? [] : [mark]),
  ].join("\n");
  return {
    json: {
      schema: 1,
      name,
      image: descriptor.digest,
      mark,
      clean,
      uncommitted,
      unnamed,
      ...(inputs.commit === undefined ? {} : { commit: inputs.commit }),
      suites: suites.map(({ output, ...suite }) => ({ ...suite, output: lastLines(output) })),
      took,
    },
    text,
    exitCode: mark === "green" ? EXIT_CODES.ok : EXIT_CODES.failed,
  };
}

function describeDirty(commit: string | undefined, uncommitted: readonly string[]): string {
  const shown = uncommitted.slice(0, SHOWN_PATHS).join(", ");
  const more = uncommitted.length > SHOWN_PATHS ? ` and ${uncommitted.length - SHOWN_PATHS} more` : "";
  const found =
    commit === undefined
      ? "the context is not a git commit"
      : `commit ${commit.slice(0, 12)} does not hold ${shown}${more}`;
  return `not promotable where the policy requires \`clean\`: ${found}`;
}

function lastLines(output: string): string {
  return output.trimEnd().split("\n").slice(-LAST_LINES).join("\n");
}

/** Integration servers set CI to something that is not false. */
function isCi(value: string | undefined): boolean {
  return value !== undefined && !["", "0", "false"].includes(value);
}
