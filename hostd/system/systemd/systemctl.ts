import { ProcessError, run } from "../../../effects/process.ts";

/** Starts units and waits; the message of the failed job where one fails, else undefined. */
export async function startUnits(units: readonly string[]): Promise<string | undefined> {
  try {
    await systemctl("start", ...units);
    return undefined;
  } catch (error) {
    if (error instanceof ProcessError && error.code === "process-failed") return error.output;
    throw error;
  }
}

/** Stops units and waits for their end, however long that takes; those that do not run are left as they are. */
export async function stopUnits(units: readonly string[]): Promise<void> {
  if (units.length > 0) await systemctl("stop", ...units);
}

/** Whether a unit's processes may still do something. */
export async function isBusy(unit: string): Promise<boolean> {
  const { stdout } = await systemctl("show", "--property=ActiveState", "--value", unit);
  return !["inactive", "failed"].includes(stdout.trim());
}

/** Makes systemd read unit files again, if it holds an older text of this one. */
export async function reloadIfChanged(unit: string): Promise<void> {
  const { stdout } = await systemctl("show", "--property=NeedDaemonReload", "--value", unit);
  if (stdout.trim() === "yes") await systemctl("daemon-reload");
}

/** The last lines that a unit's own processes wrote since the boot. */
export async function journalOf(unit: string, lines: number): Promise<string> {
  const match = `_SYSTEMD_UNIT=${unit}`;
  const command = ["journalctl", "--quiet", "--no-pager", "--boot", "--output=cat", `--lines=${lines}`, match];
  return (await run(command)).stdout;
}

function systemctl(...args: string[]) {
  return run(["systemctl", "--no-ask-password", ...args]);
}
