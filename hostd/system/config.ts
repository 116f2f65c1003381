import { chown, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { renameDurably, syncTree } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import { NodeError } from "./failure.ts";
import type { NodeSystem } from "./node.ts";
import type { Paths } from "./paths.ts";

type Config = Pick<NodeSystem, "writeConfig" | "removeGeneration">;

/** Rendered configuration, one directory a generation, complete and durable before it has its name. */
export function openConfig(paths: Paths, userOf: (app: string) => Promise<number>): Config {
  return {
    async writeConfig(app, generation, files) {
      const directory = paths.config(app, generation);
      const half = join(dirname(directory), `.making-${generation}`);
      const user = await userOf(app);
      if (await holds(directory, files)) return directory; // the way back to it must need no room
      try {
        await rm(half, { recursive: true, force: true });
        await mkdir(half, { recursive: true, mode: 0o700 });
        for (const { path, bytes } of files) await writeReadable(join(half, checkPath(path)), bytes, user);
        await syncTree(half);
        await rm(directory, { recursive: true, force: true });
        await renameDurably(half, directory);
      } catch (error) {
        await rm(half, { recursive: true, force: true });
        throw error;
      }
      return directory;
    },
    async removeGeneration(app, generation) {
      await rm(paths.config(app, generation), { recursive: true, force: true });
      await rm(paths.log(app, generation), { force: true });
      await rm(`${paths.log(app, generation)}.1`, { force: true });
      await rm(paths.mountPoints(app, String(generation)), { recursive: true, force: true });
    },
  };
}

/** Whether exactly these files are there already; a directory has its name only once it is whole. */
async function holds(directory: string, files: readonly { path: string; bytes: string }[]): Promise<boolean> {
  const there = await unlessMissing(readdir(directory, { recursive: true, withFileTypes: true }));
  if (there?.filter((entry) => !entry.isDirectory()).length !== files.length) return false;
  for (const { path, bytes } of files) {
    if ((await unlessMissing(readFile(join(directory, checkPath(path)), "utf8"))) !== bytes) return false;
  }
  return true;
}

/** Removes what a daemon that was killed had half made. */
export async function removeHalfMadeConfig(paths: Paths): Promise<void> {
  for (const app of (await unlessMissing(readdir(paths.appsOfAll))) ?? []) {
    const parent = dirname(paths.config(app, 0));
    const names = (await unlessMissing(readdir(parent))) ?? [];
    for (const name of names.filter((found) => found.startsWith(".making-"))) {
      await rm(join(parent, name), { recursive: true, force: true });
    }
  }
}

/** Root's file, which the app's group may read: the app can neither change it nor anybody else see it. */
async function writeReadable(file: string, bytes: string, user: number): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, bytes, { mode: 0o440 });
  await chown(file, 0, user);
}

function checkPath(path: string): string {
  if (path.startsWith("/") && normalize(path) === path && !path.endsWith("/")) return path;
  throw new NodeError("wrong-name", `expected an absolute path without .., got ${JSON.stringify(path)}`);
}
