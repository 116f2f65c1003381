import type { AppStatus, CheckResult, HostCheck, OperationDocument } from "../manifests/node.ts";

export type Health = AppStatus["health"];
type ProgressText = NonNullable<OperationDocument["progress"]>;

/** What is known only while hostd runs: latest check results, progress of operations, and who waits for them. */
export interface Board {
  health(app: string): Health | undefined;
  setHealth(app: string, health: Health): void;
  checks(app: string): CheckResult[];
  setCheck(app: string, result: CheckResult): void;
  hostChecks(app: string): HostCheck[];
  setHostCheck(app: string, result: HostCheck): void;
  /** Forgets the results of an app whose generation changed. */
  clear(app: string): void;
  progress(operation: number): ProgressText | undefined;
  setProgress(operation: number, progress: ProgressText): void;
  /** Called when an operation moved on: who waits is told soon, of all that changed until then. */
  changed(operation: number): void;
  /** Called when it ended: who waits is told at once, and its progress is forgotten. */
  ended(operation: number): void;
  /** Resolves at the next change of the operation, or when the time is over; soon where too many wait. */
  waitForChange(operation: number, milliseconds: number): Promise<void>;
}

/** Callers that may wait at once; any more wait this long only (milliseconds), so that waiting never takes all connections. */
const MOST_WAITING = 64;
const SHORT_WAIT = 250;

/** Milliseconds from a change to its telling: an answer for every step would take longer than a quick step. */
const SOON = 100;

export function openBoard(): Board {
  const health = new Map<string, Health>();
  const checks = new Map<string, Map<string, CheckResult>>();
  const hostChecks = new Map<string, Map<string, HostCheck>>();
  const progress = new Map<number, ProgressText>();
  const waiters = new Map<number, Set<() => void>>();
  const due = new Map<number, NodeJS.Timeout>();
  let waitingCount = 0;

  function wakeAll(operation: number): void {
    clearTimeout(due.get(operation));
    due.delete(operation);
    const waiting = waiters.get(operation) ?? new Set();
    waiters.delete(operation);
    for (const wake of waiting) wake();
  }

  return {
    health: (app) => health.get(app),
    setHealth: (app, value) => void health.set(app, value),
    checks: (app) => [...(checks.get(app)?.values() ?? [])],
    setCheck(app, result) {
      const results = checks.get(app) ?? new Map<string, CheckResult>();
      checks.set(app, results.set(result.check, result));
    },
    hostChecks: (app) => [...(hostChecks.get(app)?.values() ?? [])],
    setHostCheck(app, result) {
      const results = hostChecks.get(app) ?? new Map<string, HostCheck>();
      hostChecks.set(app, results.set(result.check, result));
    },
    clear(app) {
      checks.delete(app);
      hostChecks.delete(app);
      health.delete(app);
    },
    progress: (operation) => progress.get(operation),
    setProgress: (operation, value) => void progress.set(operation, value),
    changed(operation) {
      if (due.has(operation) || !waiters.has(operation)) return;
      due.set(
        operation,
        setTimeout(() => wakeAll(operation), SOON),
      );
    },
    ended(operation) {
      progress.delete(operation);
      wakeAll(operation);
    },
    waitForChange: (operation, milliseconds) =>
      new Promise((resolve) => {
        const long = waitingCount < MOST_WAITING;
        if (long) waitingCount += 1;
        const waiting = waiters.get(operation) ?? new Set();
        waiters.set(operation, waiting);
        const wake = () => {
          clearTimeout(timer);
          waiting.delete(wake);
          if (long) waitingCount -= 1;
          resolve();
        };
        const timer = setTimeout(wake, long ? milliseconds : Math.min(milliseconds, SHORT_WAIT));
        waiting.add(wake);
      }),
  };
}
