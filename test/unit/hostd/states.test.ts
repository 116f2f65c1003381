import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { drawStates } from "../../../hostd/drawn.ts";
import { EXECUTORS } from "../../../hostd/operations/executors.ts";
import { isPassing, lockOf, OPERATIONS, STEPS, type StepName, stepRule } from "../../../hostd/states.ts";

const steps = Object.keys(STEPS) as StepName[];

describe("the table of operations", () => {
  test.each(steps)("%s has an undo in code exactly where the table says there is one", (step) => {
    expect(EXECUTORS[step].undo !== undefined).toBe(stepRule(step).undo !== undefined);
  });

  test("every step belongs to an operation", () => {
    const used = new Set<string>(Object.values(OPERATIONS).flat());
    expect(steps.filter((step) => !used.has(step))).toEqual([]);
  });

  test("in a switch, a crash before the flip leads back and from the flip on forward", () => {
    for (const kind of ["activate", "run", "rollback", "configure", "reload"] as const) {
      const names: readonly StepName[] = OPERATIONS[kind].filter((name) => name !== "plan");
      const flip = names.indexOf("flip");
      expect(names.slice(0, flip).map((name) => stepRule(name).afterCrash)).toEqual(
        names.slice(0, flip).map(() => "undo"),
      );
      expect(names.slice(flip).map((name) => stepRule(name).afterCrash)).toEqual(names.slice(flip).map(() => "resume"));
    }
  });

  test("what outlives a power cut is on record before it is begun: data, the new version's own writes, the verdict, all of staging", () => {
    const lasting = steps.filter((step) => !isPassing(step));
    expect(lasting).toEqual(expect.arrayContaining(["snapshot", "migrate", "restore", "beside", "start", "commit"]));
    expect(lasting).toEqual(expect.arrayContaining(steps.filter((step) => lockOf(step) === "stage")));
  });

  test("staging has nothing to undo and always goes on: it never changes what runs", () => {
    expect(OPERATIONS.stage.filter((step) => stepRule(step).undo !== undefined)).toEqual([]);
    expect(OPERATIONS.stage.filter((step) => stepRule(step).afterCrash !== "resume")).toEqual([]);
  });

  test("docs/states.md is drawn from it", () => {
    const written = readFileSync(join(import.meta.dirname, "../../../docs/states.md"), "utf8");
    expect(written).toBe(drawStates());
  });
});
