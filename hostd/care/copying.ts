/** Milliseconds from a change to its copy: what comes in a row is copied once. */
const PAUSE = 5_000;
/** The least from one copy to the next, milliseconds, since each reads and writes all there is. */
const LEAST = { afterOperation: 60_000, otherwise: 600_000 };

/** What is copied, as far as it says when. */
export interface Copied {
  /** An operation is under way: there is nothing to copy before its end, which is a change as well. */
  isBusy(): boolean;
  /** How many operations ended. */
  ended(): number;
  copy(): Promise<void>;
}

/** Keeps a copy of something that changes: soon after a change, and when it is closed; nothing wakes while nothing changes. */
export interface Copying {
  /** Something changed. */
  soon(): void;
  /** Copies what is not copied yet. */
  close(): Promise<void>;
}

export function openCopying(source: Copied): Copying {
  let timer: NodeJS.Timeout | undefined;
  let due = Number.POSITIVE_INFINITY;
  let last: { at: number; ended: number } | undefined;
  let isClosed = false;

  function lookIn(milliseconds: number): void {
    clearTimeout(timer);
    due = performance.now() + milliseconds;
    timer = setTimeout(look, milliseconds).unref(); // a hostd that could not start must end; close() is waited for
  }

  function look(): void {
    due = Number.POSITIVE_INFINITY;
    const ended = countEnded();
    if (ended === undefined) return;
    const now = { at: performance.now(), ended };
    const rest = last === undefined ? 0 : restUntilCopy(last, now);
    if (rest > 0) {
      lookIn(rest);
    } else {
      last = now;
      void source.copy();
    }
  }

  /** How many operations ended; undefined while one is under way. What cannot be read now is asked again. */
  function countEnded(): number | undefined {
    try {
      return source.isBusy() ? undefined : source.ended();
    } catch {
      lookIn(LEAST.otherwise);
      return undefined;
    }
  }

  return {
    soon() {
      if (isClosed) return;
      if (due > performance.now() + PAUSE) lookIn(PAUSE);
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await source.copy();
    },
  };
}

function restUntilCopy(last: { at: number; ended: number }, now: { at: number; ended: number }): number {
  return last.at + (now.ended > last.ended ? LEAST.afterOperation : LEAST.otherwise) - now.at;
}
