import { setTimeout as delay } from "node:timers/promises";
import { isAway } from "./answer.ts";

/** How often hostd is asked, milliseconds. */
const POLL = 300;

/**
 * Asks hostd again and again and shows each answer, until Ctrl-C or until nobody reads any more (`show` answers false). A
 * hostd that is started anew is waited for.
 */
export async function poll<T>(
  signal: AbortSignal,
  ask: () => Promise<T>,
  show: (answer: T) => Promise<boolean>,
): Promise<void> {
  for (;;) {
    await delay(POLL, undefined, { signal }).catch(() => {}); // Ctrl-C ends the pause, then the loop
    if (signal.aborted) return;
    const answer = await ask().catch((error) => {
      if (signal.aborted || isAway(error)) return undefined;
      throw error;
    });
    if (answer !== undefined && !(await show(answer))) return;
  }
}
