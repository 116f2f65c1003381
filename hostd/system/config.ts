import { chmod, chown, mkdir, readdir, readFile, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { NodeError } from "./failure.ts";
import type { ConfigFileBytes, NodeSystem } from "./node.ts";
import { appsIn, type Paths } from "./paths.ts";

type Config = Pick<NodeSystem, "writeConfig" | "replaceConfig" | "generations" | "removeGeneration">;

/** Name of the link to the generation whose files a process sees. */
export const CURRENT = "current";

/**
 * Rendered configuration, one directory a generation, whole before it has its name: plain files on the disk; those with
 * a secret, and those that may be replaced below a running process, in the run directory. Nobody waits for the disk: what
 * a power cut took of a directory is seen before it is used, and made again.
 */
export function openConfig(paths: Paths, userOf: (app: string) => Promise<number>): Config {
  const isPlain = (file: ConfigFileBytes) => file.reload === undefined && file.secret !== true;
  const isSecret = (file: ConfigFileBytes) => file.reload === undefined && file.secret === true;

  /** What has a name is whole: the way back to it must need no room. */
  async function write(directory: string, files: readonly ConfigFileBytes[], user: number) {
    if (await holds(directory, files)) return;
    const half = join(dirname(directory), `.making-${directory.slice(dirname(directory).length + 1)}`);
    try {
      await rm(half, { recursive: true, force: true });
      await mkdir(dirname(half), { recursive: true, mode: 0o700 });
      await makeDirectory(half);
      for (const file of files) await writeReadable(half, file, user);
      await rm(directory, { recursive: true, force: true });
      await rename(half, directory);
    } catch (error) {
      await rm(half, { recursive: true, force: true });
      throw error;
    }
  }

  async function replace(app: string, process: number, generation: number, files: readonly ConfigFileBytes[]) {
    const live = paths.liveConfig(app, process);
    await mkdir(dirname(live), { recursive: true, mode: 0o700 });
    await makeDirectory(live);
    const others = files.filter((file) => file.reload !== undefined);
    await write(join(live, String(generation)), others, await userOf(app));
    const before = await unlessMissing(readlink(join(live, CURRENT)));
    await rm(join(live, ".next"), { force: true });
    await symlink(String(generation), join(live, ".next"));
    await rename(join(live, ".next"), join(live, CURRENT));
    // Whoever follows the link at this moment still finds what it led to.
    const past = (await readdir(live)).filter((name) => ![CURRENT, before, String(generation)].includes(name));
    for (const name of past) await rm(join(live, name), { recursive: true, force: true });
  }

  return {
    async writeConfig(app, generation, files) {
      for (const { path } of files) checkPath(path);
      const user = await userOf(app);
      const [plain, secret] = [files.filter(isPlain), files.filter(isSecret)];
      const reloaded = files.filter((file) => file.reload !== undefined);
      if (plain.length > 0) await write(paths.config(app, generation), plain, user);
      if (secret.length > 0) await write(paths.secretConfig(app, generation), secret, user);
      if (reloaded.length > 0) await replace(app, generation, generation, reloaded);
      const mounts = (directory: string, some: readonly ConfigFileBytes[]) =>
        some.map(({ path }) => ({ source: join(directory, path), target: path }));
      const config = [
        ...mounts(paths.config(app, generation), plain),
        ...mounts(paths.secretConfig(app, generation), secret),
      ];
      if (reloaded.length === 0) return { config };
      return { config, live: { source: paths.liveConfig(app, generation), targets: reloaded.map(({ path }) => path) } };
    },
    async replaceConfig(app, { process, generation, files }) {
      await replace(app, process, generation, files);
    },
    async generations(app) {
      const places = [dirname(paths.config(app, 0)), paths.logs(app)];
      const names = await Promise.all(places.map(async (place) => (await unlessMissing(readdir(place))) ?? []));
      const numbers = names.flat().flatMap((name) => /^(\d+)(?:\.log(?:\.1)?)?$/.exec(name)?.[1] ?? []);
      return [...new Set(numbers.map(Number))];
    },
    async removeGeneration(app, generation) {
      for (const place of [paths.config, paths.secretConfig, paths.liveConfig]) {
        await rm(place(app, generation), { recursive: true, force: true });
      }
      await rm(paths.log(app, generation), { force: true });
      await rm(`${paths.log(app, generation)}.1`, { force: true });
      for (const place of [paths.mountPoints, paths.links]) {
        await rm(place(app, String(generation)), { recursive: true, force: true });
      }
    },
  };
}

/** Whether exactly these files are there already. */
async function holds(directory: string, files: readonly ConfigFileBytes[]): Promise<boolean> {
  const there = await unlessMissing(readdir(directory, { recursive: true, withFileTypes: true }));
  if (there?.filter((entry) => !entry.isDirectory()).length !== files.length) return false;
  for (const { path, bytes } of files) {
    if ((await unlessMissing(readFile(join(directory, path), "utf8"))) !== bytes) return false;
  }
  return true;
}

/** Removes what a daemon that was killed had half made. */
export async function removeHalfMadeConfig(paths: Paths): Promise<void> {
  for (const app of await appsIn(paths.appsOfAll)) {
    const parent = dirname(paths.config(app, 0));
    const names = (await unlessMissing(readdir(parent))) ?? [];
    for (const name of names.filter((found) => found.startsWith(".making-"))) {
      await rm(join(parent, name), { recursive: true, force: true });
    }
  }
}

/** Root's file, which the app's group may read; one with a secret is the user's own, and nobody else's, to read. */
async function writeReadable(directory: string, { path, bytes, secret }: ConfigFileBytes, user: number): Promise<void> {
  const file = join(directory, path);
  const parents = dirname(path)
    .split("/")
    .filter((name) => name !== "");
  for (const [at] of parents.entries()) await makeDirectory(join(directory, ...parents.slice(0, at + 1)));
  await writeFile(file, bytes, { mode: secret === true ? 0o400 : 0o440 });
  await chown(file, secret === true ? user : 0, user);
}

/** A directory that anybody may go through, whatever the umask; what is above it keeps others out. */
async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  await chmod(path, 0o755);
}

function checkPath(path: string): void {
  if (path.startsWith("/") && normalize(path) === path && !path.endsWith("/")) return;
  throw new NodeError("wrong-name", `expected an absolute path without .., got ${JSON.stringify(path)}`);
}
