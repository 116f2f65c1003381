import type { Clock } from "../clock.ts";
import { HostdError } from "../error.ts";

/** Waits until `bytes` more may pass. */
export type Pace = (bytes: number, signal: AbortSignal) => Promise<void>;

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9 };

/** `10M` as bytes, per second or in all; undefined means no limit. `what` was given them is named where it is refused. */
export function parseRate(text: string | undefined, what = "rate"): number | undefined {
  if (text === undefined) return undefined;
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)([kmg]?)$/i.exec(text) ?? [];
  const rate = Number(number) * (UNITS[unit.toLowerCase()] ?? 0);
  if (number !== "" && rate >= 1) return rate;
  throw new HostdError("bad-request", `${what}: expected bytes such as 500k or 10M, got ${text}`);
}

/** Holds all that goes through it together to `rate` bytes per second; what was not used is not saved up. */
export function createPace(rate: number | undefined, clock: Pick<Clock, "now" | "sleep">): Pace {
  let free = Number.NEGATIVE_INFINITY;
  return async (bytes, signal) => {
    if (rate === undefined) return;
    const now = clock.now();
    free = Math.max(free, now) + (bytes / rate) * 1000;
    if (free > now) await clock.sleep(free - now, signal);
  };
}

/** What a long reading waits for between its pieces: a pace where there is one. It throws once hostd is asked to end. */
export function untilClosing(closing: AbortSignal, pace?: Pace): (bytes: number) => Promise<void> {
  return async (bytes) => {
    await pace?.(bytes, closing);
    if (closing.aborted) throw new HostdError("interrupted", "hostd was asked to end before all was read");
  };
}
