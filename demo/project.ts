import { cp, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../effects/process.ts";

const AUTHOR = [
  ["user.name", "Demo"],
  ["user.email", "demo@localhost"],
] as const;

/** The first commit is dated, so that a second demo pins its base at the same moment and finds it in the cache. */
const FIRST_COMMIT = "2026-11-01T12:00:00Z";

/** The shop as somebody's project: a git repository of its own, since only committed sources may go to production. */
export async function openProject(recipes: string, directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await cp(join(recipes, "shop"), directory, { recursive: true, filter: (path) => !path.includes("/shop/next") });
  await run(["git", "init", "--quiet", "--initial-branch=main"], { cwd: directory });
  for (const [name, value] of AUTHOR) await run(["git", "config", name, value], { cwd: directory });
  await commit(directory, "shop: first version", { GIT_AUTHOR_DATE: FIRST_COMMIT, GIT_COMMITTER_DATE: FIRST_COMMIT });
}

/** Puts the files of the next version over the present ones, as a developer's edit would, and commits. */
export async function editProject(recipes: string, directory: string, version: string, message: string): Promise<void> {
  await cp(join(recipes, "shop", "next", version), directory, { recursive: true });
  await commit(directory, message);
}

async function commit(directory: string, message: string, dates: Record<string, string> = {}): Promise<void> {
  await run(["git", "add", "--all"], { cwd: directory });
  const env = { ...process.env, ...dates };
  await run(["git", "commit", "--quiet", "--allow-empty", "-m", message], { cwd: directory, env });
}

/** Takes the last commit back, as a developer does with a change whose test failed. */
export async function revertProject(directory: string): Promise<void> {
  await run(["git", "revert", "--no-edit", "HEAD"], { cwd: directory });
}
