import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { type Cache, keyOf } from "../cache/cache.ts";
import { BuildError } from "../error.ts";
import { type Context, openContext } from "./context.ts";
import { type GitState, readGit } from "./git.ts";
import { openFileHashes } from "./hashes.ts";
import { parseIgnore } from "./ignore.ts";

/** Times of files made without a repository: 1980, the earliest that every archive format can hold. */
const NO_COMMIT_EPOCH = 315_532_800;

export interface Sources {
  context: Context;
  git: GitState;
  /** DEPLOY's file times, seconds since 1970. */
  epoch: number;
  /** Keeps the digests of the files that were read. */
  save(): Promise<void>;
}

export interface SourcesInput {
  recipeFile: string;
  context: string | undefined;
  home: string;
  epoch: number | undefined;
  cache: Cache;
}

/** Opens the build context: what is ignored in it, what git says of it, and the time that its files get. */
export async function openSources(input: SourcesInput): Promise<Sources> {
  const directory = resolve(input.context ?? dirname(input.recipeFile));
  await expectDirectory(directory);
  const ignoring = await readIgnoreFile(directory, input.recipeFile);
  const sources = [input.recipeFile, ...(ignoring === undefined ? [] : [ignoring.file])];
  const lock = `${input.recipeFile}.lock`;
  const [git, hashes] = await Promise.all([
    readGit(directory, { sources, lock }),
    openFileHashes(input.cache, keyOf(directory), Date.now()),
  ]);
  const ignore = parseIgnore(ignoring?.text ?? "", [".git", ...insideOf(directory, resolve(input.home), lock)]);
  return {
    context: openContext(directory, { ignore, hashes, git }),
    git,
    epoch: input.epoch ?? epochFromEnvironment() ?? git.commitTime ?? NO_COMMIT_EPOCH,
    save: () => hashes.save(),
  };
}

/** A recipe file's text and digest. */
export async function readRecipeFile(file: string): Promise<{ text: string; digest: `sha256:${string}` }> {
  const stats = await unlessMissing(stat(file));
  if (stats?.isFile() !== true) {
    const found = stats === undefined ? "none" : stats.isDirectory() ? "a directory" : "something else";
    throw new BuildError("recipe-missing", `${file}: expected a recipe file, got ${found}`, {
      hint: "ostler build DIRECTORY/NAME.recipe",
    });
  }
  const bytes = await readFile(file);
  if (!isUtf8(bytes)) throw new BuildError("recipe-encoding", `${file}: expected UTF-8, got other bytes`);
  return { text: bytes.toString(), digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}` };
}

/** NAME.recipe.dockerignore first, else the context's .dockerignore. */
async function readIgnoreFile(directory: string, recipeFile: string) {
  for (const file of [`${recipeFile}.dockerignore`, join(directory, ".dockerignore")]) {
    const text = await unlessMissing(readFile(file, "utf8"));
    if (text !== undefined) return { file, text };
  }
  return undefined;
}

/** Paths relative to a directory, of those that lie in it. */
function insideOf(directory: string, ...paths: string[]): string[] {
  return paths.map((path) => relative(directory, path)).filter((path) => path !== "" && !path.startsWith(".."));
}

async function expectDirectory(directory: string): Promise<void> {
  const stats = await unlessMissing(stat(directory));
  if (stats?.isDirectory() === true) return;
  throw new BuildError("context-missing", `${directory}: expected the context, a directory`, {
    hint: "name it with --context DIR",
  });
}

function epochFromEnvironment(): number | undefined {
  const text = process.env["SOURCE_DATE_EPOCH"];
  return text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) : undefined;
}
