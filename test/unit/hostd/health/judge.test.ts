import { describe, expect, test } from "vitest";
import type { Clock } from "../../../../hostd/clock.ts";
import { judge } from "../../../../hostd/health/judge.ts";
import type { Exit } from "../../../../hostd/system/node.ts";
import type { Health } from "../../../../manifests/app.ts";

const web: Health = {
  kind: "tcp",
  host: "localhost",
  port: 80,
  interval: 1_000,
  timeout: 100,
  within: 5_000,
  stable: 3_000,
};

/** A clock that moves only while somebody sleeps. */
function fakeClock(): Clock & { slept: number[] } {
  let now = 0;
  const slept: number[] = [];
  return {
    slept,
    now: () => now,
    date: () => new Date(0),
    async sleep(milliseconds) {
      slept.push(milliseconds);
      now += milliseconds;
    },
  };
}

async function judged(
  answerAt: (now: number) => boolean,
  options: { checks?: Health[]; exit?: (now: number) => Exit | undefined } = {},
) {
  const clock = fakeClock();
  const controller = new AbortController();
  let asked = 0;
  const verdict = await judge({
    checks: options.checks ?? [web],
    clock,
    signal: controller.signal,
    async check() {
      asked += 1;
      const ok = answerAt(clock.now());
      return { ok, detail: ok ? "connected" : "refused", took: 1 };
    },
    exited: async () => options.exit?.(clock.now()),
    onSample: () => {},
    onPending: () => {},
  });
  return { verdict, asked, took: clock.now() };
}

describe("judge", () => {
  test("asks eagerly until the first good answer, then at the check's own interval, and stops when B is over", async () => {
    const { verdict, asked, took } = await judged((now) => now >= 400);
    expect(verdict.state).toBe("healthy");
    expect(took).toBeGreaterThanOrEqual(3_400);
    expect(took).toBeLessThan(3_400 + 400 / 8 + 1); // an eighth of the start, at most, passes unseen
    expect(asked).toBe(26);
  });

  test("asks a slow start five times a second, no more", async () => {
    const slow = { ...web, within: 60_000 };
    const { asked, took } = await judged((now) => now >= 50_000, { checks: [slow] });
    expect(took).toBeLessThan(50_000 + 200 + slow.stable);
    expect(asked).toBeLessThan(290);
  });

  test("gives up when A is over", async () => {
    const { verdict, took } = await judged(() => false);
    expect(verdict).toMatchObject({
      state: "failed",
      detail: expect.stringContaining("not healthy within 5000 ms: refused"),
    });
    expect(took).toBeGreaterThan(5_000);
    expect(took).toBeLessThanOrEqual(5_200);
  });

  test("fails as soon as the app ends", async () => {
    const exit = (now: number) => (now >= 200 ? { code: 3, at: "" } : undefined);
    const { verdict, took } = await judged(() => false, { exit });
    expect(verdict).toEqual({ state: "failed", detail: "the app ended: exit code 3" });
    expect(took).toBeLessThan(225);
  });

  test("an app without checks must simply stay alive", async () => {
    const alive = await judged(() => true, { checks: [] });
    expect(alive).toMatchObject({ verdict: { state: "healthy" }, asked: 0, took: 5_000 });
    const exit = (now: number) => (now >= 2_000 ? { signal: "SIGKILL", at: "" } : undefined);
    expect((await judged(() => true, { checks: [], exit })).verdict.detail).toContain("killed by SIGKILL");
  });
});
