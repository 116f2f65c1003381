import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { hasErrno } from "../../effects/errno.ts";
import type { Limits } from "../../manifests/app.ts";
import { type Controller, placeOf } from "./cgroups.ts";
import { type MountEntry, readMounts } from "./mountinfo.ts";
import { parseStat } from "./proc.ts";

/** More bytes than any machine has mean that cgroup version 1 limits nothing. */
const NO_BYTES = 2 ** 60;

/**
 * What the kernel really holds a living process to, by its cgroups and its resource limits; nothing stands for what is
 * not limited. Undefined for a process that has ended. `ours`: tasks of the sandbox that count with the app's.
 */
export async function limitsInForce(pid: number, ours: number): Promise<Limits | undefined> {
  try {
    const cgroup = await readFile(`/proc/${pid}/cgroup`, "utf8");
    const mounts = await readMounts();
    const [memory, cpu, pids] = [
      await readLimit("memory", cgroup, mounts, readMemory),
      await readLimit("cpu", cgroup, mounts, readCpu),
      await readLimit("pids", cgroup, mounts, readTasks),
    ];
    const files = parseOpenFiles(await readFile(`/proc/${pid}/limits`, "utf8"));
    if (parseStat(await readFile(`/proc/${pid}/stat`, "utf8")) === undefined) return undefined; // a zombie is in no cgroup
    return {
      ...(memory === undefined ? {} : { memory }),
      ...(cpu === undefined ? {} : { cpu }),
      ...(pids === undefined ? {} : { tasks: pids - ours }),
      ...(files === undefined ? {} : { files }),
    };
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ESRCH")) return undefined; // it ended while we looked
    throw error;
  }
}

type Read = (version: 1 | 2, text: (file: string) => Promise<string>) => Promise<number | undefined>;

async function readLimit(controller: Controller, cgroup: string, mounts: readonly MountEntry[], read: Read) {
  const place = placeOf(controller, cgroup, mounts);
  if (place === undefined) return undefined;
  try {
    return await read(place.version, (file) => readFile(join(place.directory, file), "utf8"));
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENODEV")) return undefined; // the controller is not on, or the root, which limits nothing
    throw error;
  }
}

const readMemory: Read = async (version, text) => {
  const value = Number(await text(version === 1 ? "memory.limit_in_bytes" : "memory.max"));
  return Number.isNaN(value) || value >= NO_BYTES ? undefined : value;
};

const readCpu: Read = async (version, text) => {
  const [quota, period] =
    version === 1
      ? [Number(await text("cpu.cfs_quota_us")), Number(await text("cpu.cfs_period_us"))]
      : (await text("cpu.max")).split(" ").map(Number);
  return quota === undefined || period === undefined || Number.isNaN(quota) || quota < 0
    ? undefined
    : Math.round((quota * 100) / period);
};

const readTasks: Read = async (_, text) => {
  const value = Number(await text("pids.max"));
  return Number.isNaN(value) ? undefined : value;
};

/** The soft limit of open files in /proc/PID/limits. */
export function parseOpenFiles(text: string): number | undefined {
  const found = /^Max open files\s+(\d+)/m.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}
