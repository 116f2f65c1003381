import type { Stats } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { hasErrno } from "../../../effects/errno.ts";
import { run } from "../../../effects/process.ts";
import { PROGRAMS } from "../programs.ts";
import { isSame } from "./same.ts";

/** A file of /etc that differs from what image and config declare. */
export interface Drift {
  /** Absolute, as the host sees it. */
  path: string;
  how: "changed" | "removed";
}

/** Something in an upper directory, as a path in it. What is removed is hidden by a character device, or by an opaque directory. */
export interface Entry {
  path: string;
  kind: "file" | "removed" | "directory" | "opaque";
}

/** What programs leave in /etc that says nothing. */
const NO_DRIFT: ReadonlySet<string> = new Set([".pwd.lock", ".updated"]);

/**
 * Tells what in an upper was changed by hand from copies of what lies below; ends when `most` changes were found. A copy in
 * an opaque directory is neither: without it there would be nothing. What vanished since it was listed is neither as well.
 */
export async function compareUpper(
  upper: string,
  entries: readonly Entry[],
  below: readonly string[],
  most: number,
): Promise<{ drift: Drift[]; same: string[] }> {
  const drift: Drift[] = [];
  const same: string[] = [];
  const opaque = entries.filter(({ kind }) => kind === "opaque").map(({ path }) => `${path}/`);
  const tell = (path: string, how: Drift["how"]) => drift.push({ path: join("/etc", path), how });
  const compare = async ({ path, kind }: Entry) => {
    if (kind === "removed") tell(path, "removed");
    else if (kind === "file") {
      const isCopy = NO_DRIFT.has(path) || (await isAsBelow(join(upper, path), below, path));
      if (!isCopy) tell(path, "changed");
      else if (!opaque.some((directory) => path.startsWith(directory))) same.push(path);
    } else if (!(await isDirectoryAsBelow(upper, below, path))) tell(path, "changed");
    if (kind !== "opaque") return;
    for (const hidden of await hiddenIn(upper, below, path)) tell(hidden, "removed");
  };
  for (const entry of entries) {
    if (drift.length >= most) break;
    await unlessGone(compare(entry));
  }
  return { drift: drift.sort((a, b) => (a.path < b.path ? -1 : 1)).slice(0, most), same };
}

/** A new one is told by what is in it. */
async function isDirectoryAsBelow(upper: string, below: readonly string[], path: string): Promise<boolean> {
  const found = await Promise.all(below.map((directory) => lookAt(join(directory, path))));
  if (found.some((under) => under !== undefined)) return await isAsBelow(join(upper, path), below, path);
  return (await readdir(join(upper, path))).length > 0;
}

/** What lies under an opaque directory and has nothing in its place. */
async function hiddenIn(upper: string, below: readonly string[], path: string): Promise<string[]> {
  const found = await Promise.all(below.map((directory) => namesIn(join(directory, path))));
  const there = await readdir(join(upper, path));
  return [...new Set(found.flat())].filter((name) => !there.includes(name)).map((name) => join(path, name));
}

async function namesIn(directory: string): Promise<string[]> {
  return (await lookAt(directory))?.isDirectory() ? await readdir(directory) : [];
}

/** Everything in an upper directory, by name; a character device hides what lies below. */
export async function entriesIn(upper: string): Promise<Entry[]> {
  const found: Entry[] = [];
  const list = async (directory: string) => {
    for (const entry of (await unlessGone(readdir(join(upper, directory), { withFileTypes: true }))) ?? []) {
      const path = join(directory, entry.name);
      found.push({ path, kind: kindOf(entry) });
      if (entry.isDirectory()) await list(path);
    }
  };
  await list("");
  const opaque = await opaqueAmong(found.flatMap(({ path, kind }) => (kind === "directory" ? join(upper, path) : [])));
  return found
    .map((entry): Entry => (opaque.has(join(upper, entry.path)) ? { ...entry, kind: "opaque" } : entry))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function opaqueAmong(directories: readonly string[]): Promise<Set<string>> {
  if (directories.length === 0) return new Set();
  const input = directories.map((path) => `${path}\0`).join("");
  const { stdout } = await run(["/usr/bin/perl", PROGRAMS.opaque, process.arch], { input });
  return new Set(stdout.split("\0"));
}

function kindOf(entry: Pick<Stats, "isDirectory" | "isCharacterDevice">): Entry["kind"] {
  if (entry.isDirectory()) return "directory";
  return entry.isCharacterDevice() ? "removed" : "file";
}

/** What an upper directory has for one path: the file itself, or what is there in place of a directory above it. */
export async function entryAt(upper: string, path: string): Promise<Entry | undefined> {
  const names = path.split("/");
  for (const [index] of names.entries()) {
    const above = names.slice(0, index + 1).join("/");
    const found = await lookAt(join(upper, above));
    if (found === undefined) return undefined;
    if (!found.isDirectory()) return { path: above, kind: kindOf(found) };
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
export function lookAt(path: string) {
  return unlessGone(lstat(path));
}

/** Undefined where something is not there, or no directory any more: /etc changes while it is looked at. */
async function unlessGone<T>(pending: Promise<T>): Promise<T | undefined> {
  try {
    return await pending;
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}
