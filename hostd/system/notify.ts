import { run } from "../../effects/process.ts";

/** Milliseconds; a program that takes longer to start is on a machine that has no time for it. */
const NOTIFY_TIMEOUT = 10_000;

/** Signs of life within the time after which the manager takes a process for hung: one that comes late costs nothing. */
const SIGNS = 4;

/** Tells the service manager a state (`--ready`, `--stopping`, `WATCHDOG=1`); does nothing where nobody listens. */
export async function notifyManager(...state: string[]): Promise<void> {
  if (process.env["NOTIFY_SOCKET"] === undefined) return;
  await run(["systemd-notify", `--pid=${process.pid}`, ...state], { timeout: NOTIFY_TIMEOUT });
}

/** Milliseconds between two signs of life; undefined where the service manager wants none. */
export function watchdogInterval(): number | undefined {
  const microseconds = Number(process.env["WATCHDOG_USEC"]);
  return microseconds > 0 ? microseconds / 1000 / SIGNS : undefined;
}
