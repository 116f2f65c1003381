import { readFile, readlink } from "node:fs/promises";
import { hasErrno, unlessMissing } from "../../effects/errno.ts";
import type { Process } from "./holder-protocol.ts";

/** True while this very process lives: same pid, same start time, and not a zombie. */
export async function isAlive({ pid, start }: Process): Promise<boolean> {
  if (pid === 0) return false;
  const stat = await readProc(pid, "stat");
  return stat !== undefined && parseStat(stat.toString())?.start === start;
}

/** The environment a process was started with. */
export async function environmentOf(pid: number): Promise<Record<string, string>> {
  const text = (await readProc(pid, "environ"))?.toString() ?? "";
  const pairs = text.split("\0").filter((pair) => pair.includes("="));
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
}

/** A process's working directory, as the process itself names it. */
export async function workdirOf(pid: number): Promise<string> {
  return (await unlessMissing(readlink(`/proc/${pid}/cwd`))) ?? "/";
}

/** Sends a signal; a process that is gone has no need of it. */
export function sendSignal(pid: number, signal: NodeJS.Signals | number): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!hasErrno(error, "ESRCH")) throw error;
  }
}

/** SIGKILL to a program that was started as the head of a process group, and to all of that; one that is gone has no need of it. */
export function killGroup(leader: number | undefined): void {
  if (leader !== undefined) sendSignal(-leader, "SIGKILL");
}

/** Start time (field 22) from /proc/PID/stat; undefined for a zombie. The name may hold spaces and brackets. */
export function parseStat(text: string): { start: number } | undefined {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const start = Number(fields[19]);
  return /^[ZX]$/.test(fields[0] ?? "Z") || !Number.isSafeInteger(start) ? undefined : { start };
}

async function readProc(pid: number, name: string): Promise<Buffer | undefined> {
  try {
    return await readFile(`/proc/${pid}/${name}`);
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ESRCH")) return undefined;
    throw error;
  }
}
