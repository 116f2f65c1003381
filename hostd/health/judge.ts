import type { Health } from "../../manifests/app.ts";
import type { Clock } from "../clock.ts";
import { describeExit } from "../exit.ts";
import type { Exit, HealthResult } from "../system/node.ts";
import { decide, type Sample, type Verdict, type Windows } from "./decide.ts";

/**
 * Until its first good answer a check is asked again after an eighth of the time that has passed, within these bounds: a
 * quick start is seen at once, a slow one is not asked without end. Milliseconds.
 */
const EAGER = { least: 10, part: 1 / 8, most: 200 };
/** How often a judged app without checks is looked at, and the windows it gets: it must simply stay alive. */
const ALIVE: Windows & { interval: number } = { name: "process", within: 1_000, stable: 5_000, interval: 500 };

export interface JudgeInput {
  checks: readonly Health[];
  check(health: Health): Promise<HealthResult>;
  /** How the process of this generation ended; undefined while it lives. */
  exited(): Promise<Exit | undefined>;
  clock: Clock;
  signal: AbortSignal;
  onSample(check: string, result: HealthResult): void;
  onPending(detail: string): void;
}

/**
 * Asks the checks in turn until the trial is decided (decide.ts). The signal ends it with `pending`. Every check is
 * asked at its own interval; all that are due are asked at the same time.
 */
export async function judge(input: JudgeInput): Promise<Verdict> {
  const checks = input.checks.map((health) => ({ name: nameOf(health), health, ...health }));
  const windows = checks.length === 0 ? [ALIVE] : checks;
  const startedAt = input.clock.now();
  const samples: Sample[] = [];
  const due = windows.map(() => startedAt);
  for (;;) {
    const asked = windows.map(async ({ name, interval }, index) => {
      if ((due[index] ?? 0) > input.clock.now()) return;
      const health = checks[index]?.health;
      const result = health === undefined ? { ok: true, detail: "alive", took: 0 } : await input.check(health);
      input.onSample(name, result);
      samples.push({ check: index, at: input.clock.now(), ok: result.ok, detail: result.detail });
      due[index] =
        input.clock.now() + (result.ok ? interval : Math.min(interval, eager(input.clock.now() - startedAt)));
    });
    await Promise.all(asked);
    const exit = await input.exited();
    const verdict = decide(
      { startedAt, checks: windows, samples, exit: exit === undefined ? undefined : describeExit(exit) },
      input.clock.now(),
    );
    if (verdict.state !== "pending" || input.signal.aborted) return verdict;
    input.onPending(verdict.detail);
    await input.clock.sleep(Math.max(1, Math.min(...due) - input.clock.now()), input.signal);
  }
}

function eager(passed: number): number {
  return Math.min(EAGER.most, Math.max(EAGER.least, passed * EAGER.part));
}

export function nameOf(health: Health): string {
  switch (health.kind) {
    case "http":
      return health.url;
    case "tcp":
      return `tcp ${health.host}:${health.port}`;
    case "exec":
      return health.command.join(" ");
    case "unit":
      return `unit ${health.unit}`;
    case "file":
      return `file ${health.path}`;
  }
}
