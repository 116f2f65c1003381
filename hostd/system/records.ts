import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { type HolderRecord, parseRecord } from "./holder-protocol.ts";
import type { Running } from "./node.ts";
import type { Paths } from "./paths.ts";
import { isAlive } from "./proc.ts";

/**
 * What the parent of an app's processes left on file about each generation, oldest first, corrected by whether the
 * process is still there: a parent that was killed took it along and could not say so.
 */
export async function readRecords(paths: Paths, app: string): Promise<HolderRecord[]> {
  const names = (await unlessMissing(readdir(paths.records(app)))) ?? [];
  const records: HolderRecord[] = [];
  for (const name of names.filter((file) => /^\d+$/.test(file))) {
    const text = await unlessMissing(readFile(join(paths.records(app), name), "utf8"));
    const record = parseRecord(text ?? "");
    if (record === undefined) continue;
    const alive = record.exited === undefined && (await isAlive(record.init));
    records.push(alive || record.exited ? record : { ...record, exited: { at: new Date().toISOString() } });
  }
  return records.sort((one, other) => one.generation - other.generation);
}

/** A record without what only its reader needs. */
export function toRunning({ init: _init, app: _app, ...running }: HolderRecord): Running {
  return running;
}
