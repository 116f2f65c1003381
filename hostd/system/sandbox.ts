import { chmod, chown, lstat, mkdir, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { hasErrno, unlessMissing } from "../../effects/errno.ts";
import { CURRENT } from "./config.ts";
import { NodeError } from "./failure.ts";
import { LIVE_POINT, type Sandbox, STANDARD_POINTS } from "./launch.ts";
import type { Mount, StartSpec } from "./node.ts";
import type { Paths } from "./paths.ts";

/** The node's own, so that names resolve in an image made from scratch; an image's symlink or CONFIG goes first. */
const RESOLVER_FILES = ["/etc/resolv.conf", "/etc/hosts"];

/**
 * Makes the mount points of one process, below the run directory, and says what is mounted where. Refuses a target
 * that the image has as something else than a mount point of that kind.
 */
export async function prepareSandbox(paths: Paths, spec: StartSpec, name: string): Promise<Sandbox> {
  const points = paths.mountPoints(spec.app, name);
  const at = paths.appRoot(spec.app);
  const files = [...spec.config, ...(await resolverFiles(spec))];
  const directories = [...STANDARD_POINTS, ...(spec.data === undefined ? [] : [spec.data.target])];

  await mkdir(at, { recursive: true });
  await mkdir(points, { recursive: true });
  for (const target of directories) {
    await checkTarget(spec.root, target, "directory");
    await mkdir(join(points, target), { recursive: true });
  }
  for (const { target } of files) {
    await checkTarget(spec.root, target, "file");
    await mkdir(dirname(join(points, target)), { recursive: true });
    await touch(join(points, target));
  }
  const data = spec.data && { source: await realpath(spec.data.source), target: spec.data.target };
  if (spec.live === undefined) return { root: spec.root, points, at, data, files };
  const links = paths.links(spec.app, name);
  await makeLinks(links, spec.root, spec.live.targets);
  return { root: spec.root, points, at, data, files, live: { links, source: spec.live.source } };
}

/**
 * A tree of links into /run/config that goes above the image. What is uppermost decides how a directory looks, so those
 * on the way to a link are made like the image's; a link of the image on the way is refused, since it would be hidden.
 */
async function makeLinks(links: string, root: string, targets: readonly string[]): Promise<void> {
  await rm(links, { recursive: true, force: true });
  await makeLike(links, root, "/");
  for (const target of targets) {
    await checkTarget(root, target, "file");
    const names = dirname(target)
      .split("/")
      .filter((name) => name !== "");
    for (const [at] of names.entries()) await makeLike(links, root, `/${names.slice(0, at + 1).join("/")}`);
    await symlink(join(LIVE_POINT, CURRENT, target), join(links, target));
  }
}

async function makeLike(links: string, root: string, path: string): Promise<void> {
  await checkTarget(root, path, "directory");
  const found = await look(root, path);
  await mkdir(join(links, path), { recursive: true });
  await chown(join(links, path), found?.uid ?? 0, found?.gid ?? 0);
  await chmod(join(links, path), (found?.mode ?? 0o755) & 0o7777);
}

async function resolverFiles(spec: StartSpec): Promise<Mount[]> {
  const files: Mount[] = [];
  for (const path of RESOLVER_FILES) {
    const source = await unlessMissing(realpath(path));
    const inImage = await look(spec.root, path);
    const taken = spec.config.some(({ target }) => target === path) || spec.live?.targets.includes(path);
    if (source !== undefined && taken !== true && (inImage === undefined || inImage.isFile())) {
      files.push({ source, target: path });
    }
  }
  return files;
}

async function checkTarget(root: string, target: string, kind: "directory" | "file"): Promise<void> {
  const found = await look(root, target);
  if (found === undefined || (kind === "directory" ? found.isDirectory() : found.isFile())) return;
  throw new NodeError("start-failed", `${target}: expected a ${kind} or nothing in the image, got something else`, {
    hint: `remove ${target} in the recipe, or name another path`,
  });
}

async function look(root: string, target: string) {
  try {
    return await lstat(join(root, target));
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

async function touch(file: string): Promise<void> {
  try {
    await writeFile(file, "", { flag: "wx" });
  } catch (error) {
    if (!hasErrno(error, "EEXIST")) throw error;
  }
}
