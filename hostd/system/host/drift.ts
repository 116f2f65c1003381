import { lstat, opendir } from "node:fs/promises";
import { join, relative } from "node:path";
import { hasErrno, unlessMissing } from "../../../effects/errno.ts";
import { isSame } from "./same.ts";

/** A file of /etc that differs from what image and config declare. */
export interface Drift {
  /** Absolute, as the host sees it. */
  path: string;
  how: "changed" | "removed";
}

/** Something in an upper directory, as a path in it. */
export interface Entry {
  path: string;
  removed: boolean;
}

/** What programs leave in /etc that says nothing. */
const NO_DRIFT: ReadonlySet<string> = new Set([".pwd.lock", ".updated"]);

/** Tells what in an upper was changed by hand from copies of what lies below; ends when `most` changes were found. */
export async function compareUpper(
  upper: string,
  entries: readonly Entry[],
  below: readonly string[],
  most: number,
): Promise<{ drift: Drift[]; same: string[] }> {
  const drift: Drift[] = [];
  const same: string[] = [];
  for (const { path, removed } of entries) {
    if (drift.length === most) break;
    if (!removed && (NO_DRIFT.has(path) || (await isAsBelow(join(upper, path), below, path)))) same.push(path);
    else drift.push({ path: join("/etc", path), how: removed ? "removed" : "changed" });
  }
  return { drift, same };
}

/** Everything in an upper directory but the directories, by name; a character device hides what lies below. */
export async function entriesIn(upper: string): Promise<Entry[]> {
  const directory = await unlessMissing(opendir(upper, { recursive: true }));
  const found: Entry[] = [];
  if (directory === undefined) return found;
  for await (const entry of directory) {
    if (entry.isDirectory()) continue;
    found.push({ path: relative(upper, join(entry.parentPath, entry.name)), removed: entry.isCharacterDevice() });
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** What an upper directory has for one path: the file itself, or what is there in place of a directory above it. */
export async function entryAt(upper: string, path: string): Promise<Entry | undefined> {
  const names = path.split("/");
  for (const [index] of names.entries()) {
    const above = names.slice(0, index + 1).join("/");
    const found = await lookAt(join(upper, above));
    if (found === undefined) return undefined;
    if (!found.isDirectory()) return { path: above, removed: found.isCharacterDevice() };
  }
  return undefined;
}

/** Whether a file is what lies under it: opening one to write copies it up, changed or not. */
export async function isAsBelow(file: string, below: readonly string[], path: string): Promise<boolean> {
  for (const directory of below) {
    const under = join(directory, path);
    if ((await lookAt(under)) !== undefined) return await isSame(file, under);
  }
  return false;
}

/** Undefined where there is nothing, or a file in place of a directory above. */
export async function lookAt(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}
