import { opendir } from "node:fs/promises";
import { join, relative } from "node:path";
import { mountLayerFile } from "../mount.ts";
import type { Looks } from "./looks.ts";
import { isSame } from "./same.ts";

/** Differences that are looked for at most: one outside hostd's own place decides already. */
const MOST_DIFFERENCES = 200;

/** Paths that differ between two layer files, relative to their root; each is mounted for the moment of the look. */
export type CompareLayers = (before: string, after: string) => Promise<string[]>;

export function openCompare(stateDirectory: string, { look }: Looks): CompareLayers {
  const mount = (root: string) => (directory: string) =>
    mountLayerFile(join(stateDirectory, "layers", `${root}.erofs`), directory);
  return (before, after) => look(mount(before), (left) => look(mount(after), (right) => compareTrees(left, right)));
}

async function compareTrees(before: string, after: string): Promise<string[]> {
  const [left, right] = [await pathsIn(before), await pathsIn(after)];
  const different: string[] = [];
  for (const path of new Set([...left, ...right])) {
    if (different.length >= MOST_DIFFERENCES) break;
    const same = left.has(path) && right.has(path) && (await isSame(join(before, path), join(after, path)));
    if (!same) different.push(path);
  }
  return different.sort();
}

async function pathsIn(root: string): Promise<Set<string>> {
  const found = new Set<string>();
  for await (const entry of await opendir(root, { recursive: true })) {
    found.add(relative(root, join(entry.parentPath, entry.name)));
  }
  return found;
}
