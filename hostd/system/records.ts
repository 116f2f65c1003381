import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { unlessMissing } from "../../effects/errno.ts";
import { stopSignalLeft } from "./ending.ts";
import { NodeError } from "./failure.ts";
import { type HolderRecord, type Process, parseRecord } from "./holder-protocol.ts";
import type { Running } from "./node.ts";
import type { Paths } from "./paths.ts";
import { isAlive, sendSignal } from "./proc.ts";

/** Milliseconds: a process that SIGKILL does not end by then is held by the kernel. */
const KILL_LIMIT = 10_000;

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

/**
 * Ends what lives by its record though its parent does not end it: its stop signal to the app, SIGKILL to all of it after
 * `timeoutMs`. Refuses (`not-stopped`) where the kernel does not let go of it.
 */
export async function endLeft(paths: Paths, app: string, generation: number, timeoutMs: number): Promise<void> {
  const left = (await readRecords(paths, app)).find((one) => one.generation === generation);
  if (left === undefined || left.exited !== undefined) return;
  if (await isAlive(left.app)) sendSignal(left.app.pid, await stopSignalLeft(paths, app, generation));
  if (await ends(left.init, timeoutMs)) return;
  sendSignal(left.init.pid, "SIGKILL");
  if (await ends(left.init, KILL_LIMIT)) return;
  const found = `process ${left.init.pid} lives on after SIGKILL`;
  throw new NodeError("not-stopped", `${app}: expected the end of generation ${generation}, ${found}`, {
    hint: `see what it waits for: cat /proc/${left.init.pid}/stack; a disk or a mount that does not answer holds it`,
  });
}

async function ends(process: Process, within: number): Promise<boolean> {
  for (const end = Date.now() + within; await isAlive(process); await delay(10)) {
    if (Date.now() >= end) return false;
  }
  return true;
}

/** A record without what only its reader needs. */
export function toRunning({ init: _init, app: _app, ...running }: HolderRecord): Running {
  return running;
}
