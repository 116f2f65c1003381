import { chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestFromHex } from "../manifests/digest.ts";
import type { Progress } from "../terminal/progress.ts";
import type { BuildResult } from "./build.ts";
import { keyOf } from "./cache/cache.ts";
import { findTestNames } from "./ci/test-names.ts";
import type { TestDeclaration } from "./recipe/recipe.ts";
import type { SandboxMount } from "./sandbox/command.ts";
import { makeMounts } from "./sandbox/mounts.ts";
import { runInSandbox } from "./sandbox/sandbox.ts";
import { type BindMount, boundEntries } from "./step/bound.ts";
import { recordRead } from "./step/inputs.ts";
import type { StepShop } from "./step/shop.ts";
import type { Tree } from "./tree/tree.ts";
import { lookupUser } from "./tree/users.ts";

/** How one TEST of a recipe went in the built image. */
export interface SuiteResult {
  name: string;
  /** Instruction, environment and content of the mounted test files: what the verdict is about. */
  digest: Digest;
  /** Names of single tests where the output tells them (TAP or spec), else the suite's own name. */
  passed: string[];
  failed: string[];
  exitCode: number;
  timedOut: boolean;
  /** The last part of what it printed, both streams. */
  output: string;
  /** Milliseconds. */
  took: number;
}

export interface TestOptions {
  progress: Progress;
  signal: AbortSignal;
}

const OUTPUT_LIMIT = 1024 * 1024;

/**
 * Runs a recipe's TESTs in the image that was just built, as it will run: read-only root, no network but loopback,
 * /tmp and /run in memory, each DATA path a fresh empty directory. A suite is failed by its exit code, or by time.
 */
export async function runTests(built: BuildResult, options: TestOptions): Promise<{ suites: SuiteResult[] }> {
  const suites: SuiteResult[] = [];
  for (const test of built.tests) suites.push(await runSuite(test, built, options));
  return { suites };
}

async function runSuite(test: TestDeclaration, built: BuildResult, options: TestOptions): Promise<SuiteResult> {
  const { image, epoch } = built.tree;
  const shop: StepShop = { ...built.tree.shop, signal: options.signal };
  const bound = (mount: BindMount) => boundEntries(mount, shop, epoch);
  const id = `test-${test.name}`;
  const event = { id, text: `TEST ${test.name}` };
  options.progress({ ...event, state: "started" });
  const started = performance.now();
  const tree = await shop.views(image);
  const digest = await digestOfTest(test, shop, epoch);
  let output = "";
  const end = await shop.cache.withWork(async (work) => {
    const cacheMounts = join(shop.cache.directory, "mounts");
    const made = await makeMounts(test.mounts, { cacheMounts, work, secrets: shop.secrets, bound });
    return runInSandbox({
      work,
      layers: image.trees.map(({ directory }) => directory),
      tree,
      upper: undefined,
      program: { command: test.command },
      env: { ...test.env, ...made.env },
      workdir: test.workdir,
      user: test.user,
      network: test.network === "default",
      mounts: [...(await placesToWrite(built, test, tree, work)), ...made.mounts],
      locks: made.locks,
      timeout: test.timeout,
      signal: options.signal,
      onOutput(text) {
        output = (output + text).slice(-OUTPUT_LIMIT);
        options.progress({ id, state: "output", text });
      },
    });
  });
  const took = performance.now() - started;
  options.progress({ ...event, state: end.exitCode === 0 ? "done" : "failed", took });
  return { name: test.name, digest, ...namesOf(test, end.exitCode, output), ...end, output, took };
}

/** Names of single tests where the output tells them, else the suite's own; its exit code decides. */
export function namesOf(
  test: TestDeclaration,
  exitCode: number,
  output: string,
): { passed: string[]; failed: string[] } {
  const { passed, failed } = findTestNames(output);
  if (exitCode !== 0) return { passed, failed: failed.length > 0 ? failed : [test.name] };
  // a program that ends with 0 has passed, whatever a line of its output looks like
  return { passed: passed.length > 0 ? passed : [test.name], failed: [] };
}

/** Where an app may write when it runs on a node: memory for /tmp and /run, and its data. */
async function placesToWrite(
  built: BuildResult,
  test: TestDeclaration,
  tree: Tree,
  work: string,
): Promise<SandboxMount[]> {
  const { uid, gid } = lookupUser(tree, test.user);
  const data: SandboxMount[] = [];
  for (const [index, { path }] of (built.app?.data ?? []).entries()) {
    const source = join(work, `data-${index}`);
    await mkdir(source);
    await chown(source, uid, gid);
    data.push({ kind: "bind", source, target: path, readonly: false });
  }
  return [{ kind: "tmpfs", target: "/tmp" }, { kind: "tmpfs", target: "/run" }, ...data];
}

/** What a verdict is about: instruction, environment, and content of what is mounted. */
export async function digestOfTest(test: TestDeclaration, shop: StepShop, epoch: number): Promise<Digest> {
  const reads: Record<string, string> = {};
  for (const mount of test.mounts) {
    if (mount.type !== "bind") continue;
    const entries = await boundEntries(mount, shop, epoch);
    reads[`${mount.target} from ${mount.source}`] = await recordRead(shop.cache, entries, false);
  }
  const { command, env, workdir, user, network, timeout } = test;
  return digestFromHex(keyOf({ command, env, workdir, user, network, timeout, mounts: test.mounts, reads }));
}
