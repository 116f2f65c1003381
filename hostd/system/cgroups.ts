import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hasErrno, unlessMissing } from "../../effects/errno.ts";
import type { Limits } from "../../manifests/app.ts";
import { type MountEntry, readMounts } from "./mountinfo.ts";

/** What a limit needs; files are no cgroup's business. */
export type Controller = "memory" | "cpu" | "pids";

/** A process's place in the hierarchy of one controller. */
export interface Place {
  version: 1 | 2;
  directory: string;
}

/** Microseconds over which a share of processor time is counted. */
const PERIOD = 100_000;

/** A kernel without swap accounting lacks these files; there is then nothing to hold. */
const OPTIONAL: ReadonlySet<string> = new Set(["memory.memsw.limit_in_bytes", "memory.swap.max"]);

/** What is written where, per controller, in order. `ours`: tasks that the sandbox itself needs. */
export function controlFiles(limits: Limits, version: 1 | 2, ours: number): [Controller, string, string][] {
  const { memory, cpu, tasks } = limits;
  const files: [Controller, string, string][] = [];
  if (memory !== undefined) {
    const bytes = String(memory);
    if (version === 1) {
      files.push(["memory", "memory.limit_in_bytes", bytes], ["memory", "memory.memsw.limit_in_bytes", bytes]);
    } else files.push(["memory", "memory.max", bytes], ["memory", "memory.swap.max", "0"]);
  }
  if (cpu !== undefined) {
    const quota = (cpu * PERIOD) / 100;
    if (version === 1)
      files.push(["cpu", "cpu.cfs_period_us", String(PERIOD)], ["cpu", "cpu.cfs_quota_us", String(quota)]);
    else files.push(["cpu", "cpu.max", `${quota} ${PERIOD}`]);
  }
  if (tasks !== undefined) files.push(["pids", "pids.max", String(tasks + ours)]);
  return files;
}

/** Where /proc/PID/cgroup says a process is, by controller: in a hierarchy of version 1 first, else in the unified one. */
export function placeOf(controller: Controller, cgroup: string, mounts: readonly MountEntry[]): Place | undefined {
  for (const line of cgroup.trim().split("\n")) {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (!controllers.split(",").includes(controller)) continue;
    const mount = mounts.find(({ type, options }) => type === "cgroup" && options.includes(controller));
    return mount === undefined ? undefined : { version: 1, directory: join(mount.mountPoint, path) };
  }
  const unified = /^0::(.*)$/m.exec(cgroup)?.[1];
  const mount = mounts.find(({ type }) => type === "cgroup2");
  return unified === undefined || mount === undefined
    ? undefined
    : { version: 2, directory: join(mount.mountPoint, unified) };
}

/**
 * Makes cgroups with these limits below this process's own, one in each hierarchy that is needed, and answers those that
 * hold. What this machine does not let us limit is left out: who asks what is in force (limits.ts) sees it.
 */
export async function makeCgroups(parent: string, name: string, limits: Limits, ours: number): Promise<string[]> {
  const made = new Set<string>();
  const [own, mounts] = [await readFile("/proc/self/cgroup", "utf8"), await readMounts()];
  for (const controller of ["memory", "cpu", "pids"] as const) {
    const place = placeOf(controller, own, mounts);
    if (place === undefined) continue;
    const files = controlFiles(limits, place.version, ours).filter(([of]) => of === controller);
    const directory = join(place.directory, parent, name);
    if (files.length > 0 && (await makeCgroup(place, parent, name, controller, files))) made.add(directory);
  }
  return [...made];
}

/** Removes cgroups in which no process is left; a kernel that is not through with one keeps it for the next call. */
export async function removeCgroups(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    try {
      await unlessMissing(rmdir(directory));
    } catch (error) {
      if (!hasErrno(error, "EBUSY", "EROFS")) throw error;
    }
  }
}

async function makeCgroup(
  { version, directory }: Place,
  parent: string,
  name: string,
  controller: Controller,
  files: readonly [Controller, string, string][],
): Promise<boolean> {
  try {
    await mkdir(join(directory, parent, name), { recursive: true });
    if (version === 2) {
      for (const above of [directory, join(directory, parent)]) {
        await writeFile(join(above, "cgroup.subtree_control"), `+${controller}`);
      }
    }
    for (const [, file, value] of files)
      await writeControl(join(directory, parent, name, file), value, OPTIONAL.has(file));
    return true;
  } catch (error) {
    if (hasErrno(error, "EROFS", "EACCES", "EPERM", "ENOENT", "EBUSY", "EINVAL", "ENOTSUP")) return false;
    throw error;
  }
}

/** Memory and swap together may not be set below memory alone, so a lower limit is set on the second try. */
async function writeControl(path: string, value: string, optional: boolean): Promise<void> {
  try {
    await writeFile(path, value, { flag: "r+" });
  } catch (error) {
    if (!(optional && hasErrno(error, "ENOENT", "EOPNOTSUPP"))) throw error;
  }
}
