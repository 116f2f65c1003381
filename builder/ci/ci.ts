import { join } from "node:path";
import { type Home, openSigner } from "../../keys/authority.ts";
import type { Envelope } from "../../keys/dsse.ts";
import { appendEnvelopes } from "../../keys/envelopes.ts";
import type { Sealer } from "../../keys/seal.ts";
import { provenanceStatement, signStatement, testResultStatement } from "../../keys/statements.ts";
import type { Progress } from "../../terminal/progress.ts";
import { type BuildResult, build } from "../build.ts";
import { BUILD_FORMAT } from "../format.ts";
import { runTests, type SuiteResult } from "../tests.ts";
import { type Mark, markOf, testFactsOf } from "./verdict.ts";

export interface CiOptions {
  recipeFile: string;
  context?: string | undefined;
  /** Directory with `store/` and `cache/`. */
  directory: string;
  home: Home;
  /** A missing lock, or a base that is not the pinned one, is an error. */
  locked: boolean;
  noCache?: boolean | undefined;
  sealer: Sealer | undefined;
  version: string;
  progress: Progress;
  signal: AbortSignal;
}

export interface CiResult {
  built: BuildResult;
  suites: SuiteResult[];
  mark: Mark;
}

/**
 * Builds a recipe, runs its TESTs in the image and signs both: provenance by the builder key, the verdict by the
 * tester key, beside the store's image. Keys are opened first, so a missing one costs no build. A failed build signs
 * nothing; a failed test signs a red mark.
 */
export async function runCi(options: CiOptions): Promise<CiResult> {
  const { home, directory, progress, signal } = options;
  const builder = await openSigner(home, "builder", options.sealer);
  const tester = await openSigner(home, "tester", options.sealer);
  const startedOn = new Date();
  const built = await build({
    recipeFile: options.recipeFile,
    context: options.context,
    home: directory,
    locked: options.locked,
    noCache: options.noCache,
    progress,
    signal,
  });
  const image = built.descriptor.digest;
  const provenance = provenanceStatement(image, factsOf(options, built, startedOn, new Date()));
  const envelopes: Envelope[] = [signStatement(provenance, builder)];
  const { suites } = await runTests(built, { progress, signal });
  const mark = markOf(suites);
  if (mark !== "none") {
    envelopes.push(signStatement(testResultStatement(image, testFactsOf(built.name, suites)), tester));
  }
  await appendEnvelopes(join(directory, "store"), image, envelopes);
  return { built, suites, mark };
}

function factsOf(options: CiOptions, { name, inputs }: BuildResult, startedOn: Date, finishedOn: Date) {
  return {
    name,
    recipe: { name: `${name}.recipe`, digest: inputs.recipe },
    commit: inputs.commit,
    clean: inputs.clean,
    bases: inputs.bases,
    formatVersion: BUILD_FORMAT,
    epoch: inputs.epoch,
    network: inputs.network,
    builderVersion: options.version,
    startedOn,
    finishedOn,
  };
}
