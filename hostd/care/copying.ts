/** Milliseconds after a change until it is copied: what comes in a row is copied once. */
const PAUSE = 5_000;

/** Keeps a copy of something that changes: soon after a change, and when it is closed; nothing wakes while nothing changes. */
export interface Copying {
  /** Something changed. */
  soon(): void;
  /** Copies what is not copied yet. */
  close(): Promise<void>;
}

export function openCopying(copy: () => Promise<void>): Copying {
  let timer: NodeJS.Timeout | undefined;
  let last: Promise<void> = Promise.resolve();

  function begin(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    last = last.then(copy);
    return last;
  }

  return {
    soon() {
      timer ??= setTimeout(() => void begin(), PAUSE);
    },
    close: begin,
  };
}
