/** At most so many at once; the others wait in the order in which they came. */
export interface Turns {
  /** Runs `work` when it is its turn; `onWait` is told how many are before it, each time that changes. */
  take<T>(work: () => Promise<T>, signal: AbortSignal, onWait: (before: number) => void): Promise<T>;
  /** Runs `work` where that needs no waiting; else undefined. */
  takeFree<T>(work: () => Promise<T>): Promise<T> | undefined;
}

/** One at a time for each key. */
export function createTurnsByKey(): (key: string) => Turns {
  const known = new Map<string, Turns>();
  return (key) => {
    const turns = known.get(key) ?? createTurns(1);
    known.set(key, turns);
    return turns;
  };
}

interface Waiter {
  go(): void;
  moved(before: number): void;
}

export function createTurns(atOnce: number): Turns {
  const waiting: Waiter[] = [];
  let busy = 0;

  function next(): void {
    waiting.shift()?.go();
    tellAll();
  }

  function tellAll(): void {
    waiting.forEach((waiter, index) => {
      waiter.moved(busy + index);
    });
  }

  function wait(signal: AbortSignal, onWait: (before: number) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { go: begin, moved: onWait };
      function begin(): void {
        signal.removeEventListener("abort", leave);
        resolve();
      }
      function leave(): void {
        waiting.splice(waiting.indexOf(waiter), 1);
        tellAll();
        reject(signal.reason);
      }
      signal.addEventListener("abort", leave, { once: true });
      waiting.push(waiter);
      onWait(busy + waiting.length - 1);
    });
  }

  async function run<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      if (waiting.length > 0) next();
      else busy--;
    }
  }

  return {
    async take(work, signal, onWait) {
      signal.throwIfAborted();
      if (busy < atOnce) busy++;
      else await wait(signal, onWait); // whoever ends hands its turn over, so `busy` stays
      return await run(work);
    },
    takeFree(work) {
      if (busy >= atOnce) return undefined;
      busy++;
      return run(work);
    },
  };
}
