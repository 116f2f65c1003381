import { stat } from "node:fs/promises";
import { unlessMissing } from "../../effects/errno.ts";
import { ProcessError, run } from "../../effects/process.ts";

/** Where systemd says that it is this machine's process 1 (sd_booted(3)). */
const BOOTED = "/run/systemd/system";

/** Whether a unit of the node is active, by `systemctl is-active`, which says the state and exits 0 only for that. */
export async function checkUnit(
  unit: string,
  timeout: number,
  booted = BOOTED,
): Promise<{ ok: boolean; detail: string }> {
  if ((await unlessMissing(stat(booted))) === undefined) {
    return { ok: false, detail: "systemd is not process 1 of this node" };
  }
  try {
    const { stdout } = await run(["systemctl", "is-active", "--", unit], { timeout });
    return { ok: true, detail: stdout.trim() };
  } catch (error) {
    if (!(error instanceof ProcessError)) throw error;
    return { ok: false, detail: error.timedOut ? `no answer within ${timeout} ms` : lastLine(error) };
  }
}

function lastLine(error: ProcessError): string {
  return error.output.trim().split("\n").at(-1) || error.message.slice(0, 300);
}
