/** Runs what is given one after the other, in the order of the calls; one failure does not stop the next. */
export function createQueue(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const next = last.then(task, task);
    last = next.catch(() => undefined);
    return next;
  };
}

/** One such queue for each key: those of two keys do not wait for each other. */
export function createQueues(): <T>(key: string, task: () => Promise<T>) => Promise<T> {
  const known = new Map<string, ReturnType<typeof createQueue>>();
  return (key, task) => {
    const inTurn = known.get(key) ?? createQueue();
    known.set(key, inTurn);
    return inTurn(task);
  };
}
