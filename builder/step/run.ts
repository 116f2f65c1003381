import { chmod, chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { quoteCommand } from "../../effects/process.ts";
import { BuildError } from "../error.ts";
import type { RunStep } from "../recipe/recipe.ts";
import { boundPath, makeMounts } from "../sandbox/mounts.ts";
import { runInSandbox } from "../sandbox/sandbox.ts";
import { programOf } from "../sandbox/shell.ts";
import { joinPath } from "../tree/bytes.ts";
import type { ListedEntry } from "../tree/listing.ts";
import { scanTree } from "../tree/scan.ts";
import type { Tree } from "../tree/tree.ts";
import { type BindMount, boundEntries } from "./bound.ts";
import { removeIdentity } from "./identity.ts";
import { inputsOf, recordRead } from "./inputs.ts";
import { type PreparedStep, placeOf, type StepPlace, type StepShop } from "./shop.ts";

const OUTPUT_LINES = 20;
/** Questions of debconf have nobody to answer them. */
const RUN_ENV = { DEBIAN_FRONTEND: "noninteractive" };

/** A RUN is keyed by the tree below, its command, environment and mounts, and the content of what it binds. */
export async function prepareRun(step: RunStep, place: StepPlace, shop: StepShop): Promise<PreparedStep> {
  const reads: Record<string, string> = {};
  for (const mount of step.mounts) {
    if (mount.type !== "bind") continue;
    const entries = (await boundEntries(mount, shop, place.epoch)).map((entry) => {
      return { ...entry, path: joinPath(boundPath(mount.source), entry.path) };
    });
    reads[`RUN --mount source=${mount.source}`] = await recordRead(shop.cache, entries, mount.from.tree !== "context");
  }
  return {
    inputs: inputsOf(step, place.below.id, place.epoch, reads),
    make: (tree, work) => makeRun(step, place, shop, tree, work),
  };
}

async function makeRun(
  step: RunStep,
  place: StepPlace,
  shop: StepShop,
  directory: string,
  work: string,
): Promise<ListedEntry[]> {
  const tree = await shop.views(place.below);
  const upper = join(directory, "root");
  await makeUpper(upper, tree);
  const bound = (mount: BindMount) => boundEntries(mount, shop, place.epoch);
  const cacheMounts = join(shop.cache.directory, "mounts");
  const made = await makeMounts(step.mounts, { cacheMounts, work, secrets: shop.secrets, bound });
  const output = lastLines();
  const end = await runInSandbox({
    work,
    layers: place.below.trees.map((one) => one.directory),
    tree,
    upper,
    program: programOf(step.command, tree),
    env: { ...RUN_ENV, SOURCE_DATE_EPOCH: String(place.epoch), ...step.env, ...made.env },
    workdir: step.workdir,
    user: step.user,
    network: step.network === "default",
    mounts: made.mounts,
    locks: made.locks,
    signal: shop.signal,
    onOutput(text) {
      output.push(text);
      shop.onOutput(text);
    },
  });
  if (end.exitCode !== 0) throw runFailed(step, place, shop, end.exitCode, output.text());
  removeIdentity(upper);
  return scanTree(upper, place.epoch);
}

/** An upper directory shows its own attributes as the root's: they start as the tree's. */
async function makeUpper(upper: string, tree: Tree): Promise<void> {
  const root = tree.at("");
  await mkdir(upper);
  await chown(upper, root?.uid ?? 0, root?.gid ?? 0);
  await chmod(upper, root?.mode ?? 0o755);
}

function runFailed(step: RunStep, place: StepPlace, shop: StepShop, exitCode: number, output: string): BuildError {
  const command = step.command.form === "exec" ? quoteCommand(step.command.command) : step.text;
  return new BuildError(
    "run-failed",
    `${placeOf(shop, place, step)} ${command}: exit code ${exitCode}${output === "" ? "" : `\n${output}`}`,
    {
      details: { step: place.number, line: step.position.line, command, exitCode, output },
      hint: hintFor(step, output),
    },
  );
}

function hintFor(step: RunStep, output: string): string | undefined {
  if (/^bwrap: execvp .*: No such file/m.test(output)) {
    return "the tree below has no such program: a RUN of text needs a shell in it, FROM scratch has none";
  }
  const wantsNetwork = /resolv|network|connect|EAI_AGAIN|ENOTFOUND/i.test(output);
  if (step.network === "none" && wantsNetwork) return "this step has no network: RUN --network=default gives it one";
  return undefined;
}

/** Keeps the end of a step's output, both streams in the order they came. */
function lastLines(): { push(text: string): void; text(): string } {
  let kept = "";
  return {
    push(text) {
      kept = (kept + text).slice(-64 * 1024);
    },
    text: () => kept.trimEnd().split("\n").slice(-OUTPUT_LINES).join("\n"),
  };
}
