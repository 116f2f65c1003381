/** The two windows of one check (design section 6, "judge"): healthy within A, then stable for B. Milliseconds. */
export interface Windows {
  name: string;
  within: number;
  stable: number;
}

/** One answer of one check, by its place among the checks; `at` is milliseconds of the same clock as `startedAt`. */
export interface Sample {
  check: number;
  at: number;
  ok: boolean;
  detail: string;
}

export interface Trial {
  startedAt: number;
  checks: readonly Windows[];
  /** In the order they came. */
  samples: readonly Sample[];
  /** How the app's process ended, where it did. */
  exit?: string | undefined;
}

export type Verdict =
  | { state: "pending"; detail: string }
  | { state: "healthy"; detail: string }
  | { state: "failed"; detail: string };

/**
 * Judges a trial from its samples alone. A process that ended has failed. Each check must answer well within its A,
 * and from its first good answer on every later answer must be good; the trial is healthy once all are past their B.
 */
export function decide(trial: Trial, now: number): Verdict {
  if (trial.exit !== undefined) return { state: "failed", detail: `the app ended: ${trial.exit}` };
  const verdicts = trial.checks.map((check, index) => decideCheck(trial, check, index, now));
  return (
    verdicts.find((verdict) => verdict.state === "failed") ??
    verdicts.find((verdict) => verdict.state === "pending") ?? {
      state: "healthy",
      detail: `healthy for ${Math.max(0, ...trial.checks.map((check) => check.stable))} ms`,
    }
  );
}

function decideCheck(trial: Trial, check: Windows, index: number, now: number): Verdict {
  const samples = trial.samples.filter((sample) => sample.check === index);
  const first = samples.findIndex((sample) => sample.ok && sample.at <= trial.startedAt + check.within);
  if (first === -1) return waiting(trial, check, samples.at(-1), now);
  const broken = samples.slice(first).find((sample) => !sample.ok);
  if (broken !== undefined) {
    return { state: "failed", detail: `${check.name}: turned unhealthy within ${check.stable} ms: ${broken.detail}` };
  }
  const healthyAt = samples[first]?.at ?? now;
  const last = samples.at(-1)?.at ?? healthyAt;
  if (now >= healthyAt + check.stable && last >= healthyAt + check.stable) return { state: "healthy", detail: "" };
  return { state: "pending", detail: `${check.name}: healthy, stable for ${Math.round(now - healthyAt)} ms` };
}

function waiting(trial: Trial, check: Windows, last: Sample | undefined, now: number): Verdict {
  const seen = last === undefined ? "no answer yet" : last.detail;
  if (now <= trial.startedAt + check.within) return { state: "pending", detail: `${check.name}: ${seen}` };
  return { state: "failed", detail: `${check.name}: not healthy within ${check.within} ms: ${seen}` };
}

/** Codes of failures that are a version's own; any other is the node's, and would befall another version too. */
const AT_FAULT: ReadonlySet<string> = new Set(["unhealthy", "hook-failed", "start-failed", "job-failed"]);

export function isAtFault(code: string | undefined): boolean {
  return AT_FAULT.has(code ?? "");
}

/** Failed answers in a row after which an app that was good counts as sick. */
export const SICK_AFTER = 3;
/** Restarts within the window after which another one is not tried: the app is stopped instead. */
export const RESTART_LIMIT = 3;
export const RESTART_WINDOW = 10 * 60_000;

/** Why an app under watch is sick; undefined while it is not. `recent` holds each check's last answers, oldest first. */
export function sickness(recent: readonly (readonly Sample[])[], exit: string | undefined): string | undefined {
  if (exit !== undefined) return `the app ended: ${exit}`;
  for (const samples of recent) {
    const last = samples.slice(-SICK_AFTER);
    if (last.length === SICK_AFTER && last.every((sample) => !sample.ok)) {
      return `${SICK_AFTER} failed checks in a row: ${last.at(-1)?.detail}`;
    }
  }
  return undefined;
}

/** Whether a sick app is restarted once more, or stopped, by the times of its restarts. */
export function mayRestart(restarts: readonly number[], now: number): boolean {
  return restarts.filter((at) => now - at < RESTART_WINDOW).length < RESTART_LIMIT;
}
