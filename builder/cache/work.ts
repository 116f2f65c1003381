import { readFileSync, readlinkSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** PID namespace, process, start: a number of another namespace says nothing here. */
const WORK_NAME = /^(\d+)-(\d+)-(\d+)-/;

/** A directory below `parent` whose name says which living process it belongs to; always removed at the end. */
export async function withWorkDirectory<T>(parent: string, use: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(parent, `${namespace()}-${process.pid}-${startOf(process.pid)}-`));
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Removes work directories whose process is gone: a build that was killed. */
export async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const [, space, pid, start] = WORK_NAME.exec(name) ?? [];
    if (pid === undefined || space !== namespace() || startOf(Number(pid)) === start) continue;
    await rm(join(parent, name), { recursive: true, force: true });
  }
}

function namespace(): string {
  return readlinkSync("/proc/self/ns/pid").replace(/\D/g, "");
}

/** When a process started, in clock ticks since boot (field 22 of /proc/PID/stat); empty when there is none. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
