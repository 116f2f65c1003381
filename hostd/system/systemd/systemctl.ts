import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../../effects/errno.ts";
import { ProcessError, run } from "../../../effects/process.ts";
import { UNIT_DIRECTORY } from "./units.ts";

/** systemctl's exit code for a unit that systemd has forgotten, since nothing of it runs. */
const NOT_LOADED = 5;

/** Writes a runtime unit. systemd finds a new file by itself; an older text that it still holds is replaced. */
export async function writeUnit(unit: string, text: string): Promise<void> {
  const file = join(UNIT_DIRECTORY, unit);
  const before = await unlessMissing(readFile(file, "utf8"));
  if (before === text) return;
  await writeFile(file, text);
  if (before === undefined) return;
  const { stdout } = await systemctl("show", "--property=NeedDaemonReload", "--value", unit);
  if (stdout.trim() === "yes") await systemctl("daemon-reload");
}

/** Starts a unit and waits; the message of its job where that failed, else undefined. */
export async function startUnit(unit: string): Promise<string | undefined> {
  try {
    await systemctl("start", unit);
    return undefined;
  } catch (error) {
    if (error instanceof ProcessError && error.code === "process-failed") return error.output;
    throw error;
  }
}

/** Stops units, or all that a pattern names, and waits for their end, however long that takes; no-op where nothing runs. */
export async function stopUnit(...units: string[]): Promise<void> {
  try {
    await systemctl("stop", ...units);
  } catch (error) {
    if (!(error instanceof ProcessError) || error.exitCode !== NOT_LOADED) throw error;
  }
}

/** Makes systemd forget units that are stopped: one that failed and lost its file is held, and none of its name starts. */
export async function forgetUnits(pattern: string): Promise<void> {
  await systemctl("reset-failed", pattern);
}

/** Whether a unit's processes may still do something. */
export async function isBusy(unit: string): Promise<boolean> {
  const { stdout } = await systemctl("show", "--property=ActiveState", "--value", unit);
  return !["inactive", "failed"].includes(stdout.trim());
}

/** The last lines that a unit's own processes wrote since the boot. */
export function journalOf(unit: string, lines: number): Promise<string> {
  return journal(`_SYSTEMD_UNIT=${unit}`, lines);
}

/** The last that systemd itself said of a unit since the boot: it says something of each that was started. */
export function managerOn(unit: string): Promise<string> {
  return journal(`UNIT=${unit}`, 1);
}

async function journal(match: string, lines: number): Promise<string> {
  const command = ["journalctl", "--quiet", "--no-pager", "--boot", "--output=cat", `--lines=${lines}`, match];
  return (await run(command)).stdout;
}

function systemctl(...args: string[]) {
  return run(["systemctl", "--no-ask-password", ...args]);
}
