import { chown, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { renameDurably, syncTree } from "../../effects/durable.ts";
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
      await rm(half, { recursive: true, force: true });
      await mkdir(half, { recursive: true, mode: 0o700 });
      for (const { path, bytes } of files) await writeReadable(join(half, checkPath(path)), bytes, user);
      await syncTree(half);
      await rm(directory, { recursive: true, force: true });
      await renameDurably(half, directory);
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
