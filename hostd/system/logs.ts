import { open, readdir } from "node:fs/promises";
import { unlessMissing } from "../../effects/errno.ts";
import type { Paths } from "./paths.ts";

/** A log file is renamed to `.1` at this size (bytes), so a generation keeps at most twice as much. */
export const LOG_LIMIT = 8 * 1024 * 1024;

const SHOWN = 64 * 1024;

/** The last 64 KiB that an app wrote; of its newest generation unless one is named. */
export async function readLog(paths: Paths, app: string, generation?: number): Promise<string> {
  const newest = generation ?? (await newestLog(paths.logs(app)));
  if (newest === undefined) return "";
  const file = paths.log(app, newest);
  const last = await lastOfLog(file, SHOWN);
  const missing = SHOWN - Buffer.byteLength(last);
  return missing <= 0 ? last : `${await lastOfLog(`${file}.1`, missing)}${last}`;
}

/** The end of a file, at most `limit` bytes; empty where there is none. */
export async function lastOfLog(path: string, limit: number): Promise<string> {
  const file = await unlessMissing(open(path));
  if (file === undefined) return "";
  try {
    const { size } = await file.stat();
    const length = Math.min(size, limit);
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await file.read(buffer, 0, length, size - length);
    return buffer.subarray(0, bytesRead).toString();
  } finally {
    await file.close();
  }
}

async function newestLog(directory: string): Promise<number | undefined> {
  const names = (await unlessMissing(readdir(directory))) ?? [];
  const generations = names.flatMap((name) => /^(\d+)\.log$/.exec(name)?.[1] ?? []).map(Number);
  return generations.length === 0 ? undefined : Math.max(...generations);
}
