import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decide,
  mayRestart,
  RESTART_LIMIT,
  RESTART_WINDOW,
  type Sample,
  sickness,
  type Trial,
} from "../../../../hostd/health/decide.ts";

const check = { name: "web", within: 1_000, stable: 500 };

/** A trial of one check begun at 0, from `[at, ok]` pairs. */
function trial(...answers: [number, boolean][]): Trial {
  return { startedAt: 0, checks: [check], samples: answers.map(toSample) };
}

function toSample([at, ok]: [number, boolean]): Sample {
  return { check: 0, at, ok, detail: ok ? "200 OK" : "503" };
}

describe("decide", () => {
  test.each<[string, Trial, number, string, RegExp]>([
    ["nothing was answered yet", trial(), 10, "pending", /no answer yet/],
    ["bad answers within A prove nothing", trial([100, false], [900, false]), 900, "pending", /503/],
    [
      "no good answer within A is a failure",
      trial([100, false], [1_100, false]),
      1_100,
      "failed",
      /not healthy within 1000 ms: 503/,
    ],
    ["a good answer after A comes too late", trial([500, false], [1_001, true]), 1_001, "failed", /within 1000/],
    ["a good answer begins B", trial([900, true]), 1_000, "pending", /stable for 100 ms/],
    [
      "one bad answer within B is a failure",
      trial([300, true], [400, false]),
      400,
      "failed",
      /turned unhealthy within 500 ms: 503/,
    ],
    ["good for all of B is healthy", trial([300, true], [800, true]), 800, "healthy", /healthy for 500 ms/],
    ["B is not over before an answer came at its end", trial([300, true]), 2_000, "pending", /stable/],
    [
      "a process that ended has failed, whatever the checks said",
      { ...trial([300, true], [800, true]), exit: "exit code 3" },
      800,
      "failed",
      /ended: exit code 3/,
    ],
  ])("%s", (_title, given, now, state, detail) => {
    const verdict = decide(given, now);
    expect(verdict).toMatchObject({ state, detail: expect.stringMatching(detail) });
  });

  test("all checks must hold: one that fails fails the trial, one that waits keeps it waiting", () => {
    const checks = [check, { name: "queue", within: 1_000, stable: 100 }];
    const samples = [
      ...[300, 800].map((at) => ({ check: 0, at, ok: true, detail: "" })),
      { check: 1, at: 700, ok: false, detail: "full" },
    ];
    expect(decide({ startedAt: 0, checks, samples }, 800).state).toBe("pending");
    expect(decide({ startedAt: 0, checks, samples }, 1_001)).toMatchObject({
      state: "failed",
      detail: expect.stringContaining("queue"),
    });
  });

  test("a verdict is never taken back by time alone: healthy stays healthy, failed stays failed", () => {
    const answers = fc.array(fc.tuple(fc.integer({ min: 0, max: 3_000 }), fc.boolean()));
    fc.assert(
      fc.property(answers, fc.nat(3_000), fc.nat(3_000), (pairs, now, later) => {
        const sorted = [...pairs].sort(([a], [b]) => a - b).filter(([at]) => at <= now) as [number, boolean][];
        const first = decide(trial(...sorted), now);
        if (first.state !== "pending") expect(decide(trial(...sorted), now + later).state).toBe(first.state);
      }),
    );
  });
});

describe("sickness", () => {
  const good = toSample([1, true]);
  const bad = toSample([2, false]);
  test.each<[string, Sample[], string | undefined, string | undefined]>([
    ["an app that answers is well", [good, good, good], undefined, undefined],
    ["two failures in a row are not yet sickness", [good, bad, bad], undefined, undefined],
    ["a good answer between failures resets them", [bad, bad, good, bad], undefined, undefined],
    ["three failures in a row are", [good, bad, bad, bad], undefined, "3 failed checks in a row: 503"],
    ["an app that ended is sick at once", [good], "exit code 1", "the app ended: exit code 1"],
  ])("%s", (_title, samples, exit, expected) => {
    expect(sickness([samples], exit)).toBe(expected);
  });
});

test("an app restarted too often within the window is not restarted again; old restarts are forgotten", () => {
  const restarts = Array.from({ length: RESTART_LIMIT }, (_, index) => index);
  expect(mayRestart(restarts, 100)).toBe(false);
  expect(mayRestart(restarts.slice(1), 100)).toBe(true);
  expect(mayRestart(restarts, RESTART_WINDOW + 10)).toBe(true);
});
