import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, mkdtemp, opendir, readlink, rmdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { mountLayerFile, unmount } from "../mount.ts";

/** Differences that are looked for at most: one outside hostd's own place decides already. */
const MOST_DIFFERENCES = 200;

/** Paths that differ between two layer files, relative to their root; each is mounted for the moment of the look. */
export type CompareLayers = (before: string, after: string) => Promise<string[]>;

export function openCompare(stateDirectory: string, runDirectory: string): CompareLayers {
  return async (before, after) =>
    await withLayer(before, async (left) => await withLayer(after, async (right) => await compareTrees(left, right)));

  async function withLayer<T>(root: string, use: (directory: string) => Promise<T>): Promise<T> {
    const directory = await mkdtemp(join(runDirectory, "compare-"));
    try {
      await mountLayerFile(join(stateDirectory, "layers", `${root}.erofs`), directory);
      try {
        return await use(directory);
      } finally {
        await unmount(directory);
      }
    } finally {
      await rmdir(directory);
    }
  }
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

/** Whether two entries are the same but for their times. */
async function isSame(left: string, right: string): Promise<boolean> {
  const [a, b] = [await lstat(left), await lstat(right)];
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid || a.rdev !== b.rdev) return false;
  if (a.isSymbolicLink()) return (await readlink(left)) === (await readlink(right));
  return !a.isFile() || (a.size === b.size && (await digestOf(left)) === (await digestOf(right)));
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
