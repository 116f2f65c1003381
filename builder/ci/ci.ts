import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { loadImage } from "../../images/image.ts";
import { openStore } from "../../images/store.ts";
import { type Home, openSigner } from "../../keys/authority.ts";
import type { Envelope } from "../../keys/dsse.ts";
import { appendEnvelopes } from "../../keys/envelopes.ts";
import type { Sealer } from "../../keys/seal.ts";
import { provenanceStatement, signStatement, testResultStatement } from "../../keys/statements.ts";
import { seedPath } from "../../keys/truststate.ts";
import { bootOf } from "../../manifests/boot.ts";
import type { Progress } from "../../terminal/progress.ts";
import { type BuildResult, build } from "../build.ts";
import { BUILD_FORMAT } from "../format.ts";
import { runTests, type SuiteResult } from "../tests.ts";
import { runHostTests } from "./host.ts";
import { findUnnamed, type UnnamedKey } from "./unnamed.ts";
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
  /** What of the build's and the tests' sources the commit does not hold; provenance is clean without any. */
  uncommitted: string[];
  /** Keys that signed although the policy names no such key. */
  unnamed: UnnamedKey[];
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
  const finishedOn = new Date();
  const image = built.descriptor.digest;
  const { suites } = await testImage(built, options);
  const uncommitted = await built.uncommitted();
  const clean = built.inputs.commit !== undefined && uncommitted.length === 0;
  const provenance = provenanceStatement(image, { ...factsOf(options, built), clean, startedOn, finishedOn });
  const envelopes: Envelope[] = [signStatement(provenance, builder)];
  const mark = markOf(suites);
  if (mark !== "none") {
    envelopes.push(signStatement(testResultStatement(image, testFactsOf(built.name, suites)), tester));
  }
  await appendEnvelopes(join(directory, "store"), image, envelopes);
  const unnamed = await findUnnamed(home, mark === "none" ? { builder } : { builder, tester }, new Date());
  return { built, suites, mark, uncommitted, unnamed };
}

/** An app's image is tested in its sandbox, a host's in a machine that it boots. */
async function testImage(built: BuildResult, { directory, home, progress, signal }: CiOptions) {
  const store = await openStore(join(directory, "store"));
  const image = await loadImage(store, built.descriptor.digest);
  if (bootOf(image.manifest) === undefined) return await runTests(built, { progress, signal });
  const root = await unlessMissing(readFile(seedPath(home.trust), "utf8"));
  const logs = join(directory, "ci");
  await mkdir(logs, { recursive: true });
  return await runHostTests(built, {
    ...{ progress, signal, store, image, consoleLog: join(logs, `${built.name}-console.log`) },
    root: root === undefined ? undefined : JSON.parse(root),
  });
}

function factsOf(options: CiOptions, { name, inputs }: BuildResult) {
  return {
    name,
    recipe: { name: `${name}.recipe`, digest: inputs.recipe },
    commit: inputs.commit,
    bases: inputs.bases,
    formatVersion: BUILD_FORMAT,
    epoch: inputs.epoch,
    network: inputs.network,
    builderVersion: options.version,
  };
}
