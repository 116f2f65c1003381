import { run } from "../../effects/process.ts";

const NOTIFY_TIMEOUT = 5_000;

/** Tells the service manager a state (`--ready`, `--stopping`, `WATCHDOG=1`); does nothing where nobody listens. */
export async function notifyManager(...state: string[]): Promise<void> {
  if (process.env["NOTIFY_SOCKET"] === undefined) return;
  await run(["systemd-notify", `--pid=${process.pid}`, ...state], { timeout: NOTIFY_TIMEOUT });
}

/** Milliseconds between two signs of life that the service manager wants; undefined where it wants none. */
export function watchdogInterval(): number | undefined {
  const microseconds = Number(process.env["WATCHDOG_USEC"]);
  return microseconds > 0 ? microseconds / 1000 / 2 : undefined;
}
