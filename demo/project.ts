import { cp, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../effects/process.ts";

const AUTHOR = [
  ["user.name", "Demo"],
  ["user.email", "demo@localhost"],
] as const;

/** The first commit is dated, so that a second demo pins its base at the same moment and finds it in the cache. */
const FIRST_COMMIT = "2026-11-01T12:00:00Z";

/** A recipe as somebody's project: a git repository of its own, since only committed sources may go to production. `more` adds to it what is made elsewhere. */
export async function openProject(
  recipes: string,
  name: string,
  directory: string,
  more: () => Promise<unknown> = async () => {},
): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const left = [`/${name}/next`, `/${name}/dist`, `/${name}/${name}.recipe.lock`];
  const filter = (path: string) => !left.some((part) => path.slice(recipes.length).startsWith(part));
  await cp(join(recipes, name), directory, { recursive: true, filter, verbatimSymlinks: true });
  await more();
  await run(["git", "init", "--quiet", "--initial-branch=main"], { cwd: directory });
  for (const [key, value] of AUTHOR) await run(["git", "config", key, value], { cwd: directory });
  const dates = { GIT_AUTHOR_DATE: FIRST_COMMIT, GIT_COMMITTER_DATE: FIRST_COMMIT };
  await commit(directory, `${name}: first version`, dates);
}

/** Puts the files of the next version over the present ones, as a developer's edit would, and commits. */
export async function editProject(recipe: string, directory: string, version: string, message: string): Promise<void> {
  await cp(join(recipe, "next", version), directory, { recursive: true, verbatimSymlinks: true });
  await commit(directory, message);
}

async function commit(directory: string, message: string, dates: Record<string, string> = {}): Promise<void> {
  await run(["git", "add", "--all", "--force"], { cwd: directory });
  const env = { ...process.env, ...dates };
  await run(["git", "commit", "--quiet", "--allow-empty", "-m", message], { cwd: directory, env });
}

/** Takes the last commit back, as a developer does with a change whose test failed. */
export async function revertProject(directory: string): Promise<void> {
  await run(["git", "revert", "--no-edit", "HEAD"], { cwd: directory });
}
