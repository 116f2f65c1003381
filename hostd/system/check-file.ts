import { lstat, readlink } from "node:fs/promises";
import { join } from "node:path";
import { hasErrno } from "../../effects/errno.ts";
import type { Health } from "../../manifests/app.ts";

type FileHealth = Extract<Health, { kind: "file" }>;

/** Links followed in one path, as the kernel has it. */
const MOST_LINKS = 40;

/** There is no such file, or its process ended, or it is nobody's to see. */
const NOT_THERE = ["ENOENT", "ENOTDIR", "ESRCH", "EACCES"] as const;

/**
 * Whether a path exists below a root, and was written within `maxAge`. The age is a distance: a file from the future,
 * which a clock set back leaves behind, is not fresh either until it is written again.
 */
export async function checkFile({ path, maxAge }: FileHealth, root: string): Promise<{ ok: boolean; detail: string }> {
  const found = await lookBelow(root, path);
  if (found === undefined) return { ok: false, detail: "not there" };
  if (maxAge === undefined) return { ok: true, detail: `there, ${found.size} bytes` };
  const age = Date.now() - found.mtimeMs;
  const written = age < 0 ? `${seconds(-age)} in the future` : `${seconds(age)} ago`;
  const ok = Math.abs(age) <= maxAge;
  return { ok, detail: ok ? `written ${written}` : `written ${written}, expected within ${seconds(maxAge)}` };
}

/** Looks a path up as a process with that root does: what an app links to never leads out of its root. */
export async function lookBelow(root: string, path: string) {
  let rest = path.split("/");
  let at: string[] = [];
  for (let links = 0; rest.length > 0; ) {
    const [word = "", ...after] = rest;
    rest = after;
    if (word === "" || word === ".") continue;
    if (word === "..") {
      at = at.slice(0, -1);
      continue;
    }
    const here = join(root, ...at, word);
    const found = await look(here);
    if (found === undefined) return undefined;
    if (!found.isSymbolicLink()) {
      at = [...at, word];
      continue;
    }
    links += 1;
    if (links > MOST_LINKS) return undefined;
    const target = (await targetOf(here)) ?? word; // replaced since: looked at again
    if (target.startsWith("/")) at = [];
    rest = [...target.split("/"), ...rest];
  }
  return await look(join(root, ...at, "."));
}

/** What stands there; nothing where there is nothing to be seen, which is an answer and no fault of the node. */
async function look(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (hasErrno(error, ...NOT_THERE)) return undefined;
    throw error;
  }
}

/** Where a link leads; nothing where there is none any more. */
async function targetOf(link: string): Promise<string | undefined> {
  try {
    return await readlink(link);
  } catch (error) {
    if (hasErrno(error, "EINVAL", ...NOT_THERE)) return undefined;
    throw error;
  }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(milliseconds < 10_000 ? 1 : 0)} s`;
}
