import { setTimeout as delay } from "node:timers/promises";

/** Time as hostd uses it. Decisions are made on `now`, which no change of the wall clock moves; `date` is only written down. */
export interface Clock {
  /** Milliseconds since some fixed moment, monotonic. */
  now(): number;
  date(): Date;
  /** Waits; ends early, without an error, when the signal is aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  async sleep(milliseconds, signal) {
    try {
      await delay(milliseconds, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      if (!(error instanceof Error && error.name === "AbortError")) throw error;
    }
  },
};
