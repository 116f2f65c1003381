import { describe, expect, test } from "vitest";
import { type Begun, holdsTheApp, howToResolve } from "../../../../hostd/recover/decide.ts";
import { OPERATIONS, type StepName } from "../../../../hostd/states.ts";

const upTo = (names: readonly StepName[], last: StepName): Begun[] =>
  names.map((name) => ({ name, started: names.indexOf(name) <= names.indexOf(last) }));

describe("howToResolve", () => {
  test.each<[StepName, string]>([
    ["mount", "undo"],
    ["stop", "undo"],
    ["migrate", "undo"],
    ["config", "undo"],
    ["flip", "resume"],
    ["judge", "resume"],
    ["commit", "resume"],
  ])("activate that was at %s: %s", (step, how) => {
    expect(howToResolve("running", upTo(OPERATIONS.activate, step))).toBe(how);
  });

  test("what was being taken back is taken back further, wherever it was", () => {
    expect(howToResolve("reverting", upTo(OPERATIONS.activate, "mount"))).toBe("resume");
  });

  test("what had not begun a step begins", () => {
    expect(
      howToResolve(
        "running",
        OPERATIONS.activate.map((name) => ({ name, started: false })),
      ),
    ).toBe("resume");
  });
});

test("holdsTheApp: a deploy that still stages leaves the app to the start of hostd", () => {
  expect(holdsTheApp(upTo(OPERATIONS.deploy, "fetch"))).toBe(false);
  expect(holdsTheApp(upTo(OPERATIONS.deploy, "mount"))).toBe(true);
});
