import { ProcessError, run } from "../../../effects/process.ts";

/** systemctl's exit code for a unit that systemd has forgotten, since nothing of it runs. */
const NOT_LOADED = 5;

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

/** Stops a unit and waits for its end, however long that takes; no-op for one that does not run. */
export async function stopUnit(unit: string): Promise<void> {
  try {
    await systemctl("stop", unit);
  } catch (error) {
    if (!(error instanceof ProcessError) || error.exitCode !== NOT_LOADED) throw error;
  }
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
