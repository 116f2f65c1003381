import { describe, expect, test } from "vitest";
import { evidenceOf, type Found, resolveUpgrade, TRIALS } from "../../../../hostd/host/decide.ts";
import { OPERATIONS, type StepName, stepRule } from "../../../../hostd/states.ts";

const [OLD, NEW, OTHER] = ["a", "b", "c"].map((digit) => digit.repeat(64)) as [string, string, string];

const found = (change: Partial<Found>): Found => ({
  state: "running",
  step: "reboot",
  booted: OLD,
  from: OLD,
  root: NEW,
  live: false,
  sameBoot: false,
  trials: 1,
  evidence: [],
  ...change,
});

const steps: readonly StepName[] = OPERATIONS.upgrade;
const AFTER_BOOT = steps.filter((step) => stepRule(step).afterCrash === "boot" && step !== "arm");

describe("resolveUpgrade", () => {
  test.each(steps)("at %s in the new system it goes on", (step) => {
    expect(resolveUpgrade(found({ step, booted: NEW }))).toEqual({ how: "resume" });
  });

  test.each(steps)("what was being taken back at %s is taken back further, whatever was booted", (step) => {
    for (const booted of [OLD, NEW, OTHER]) {
      expect(resolveUpgrade(found({ state: "reverting", step, booted }))).toEqual({ how: "resume" });
    }
  });

  test.each(["target", "install", "arm"] as const)("at %s in the old system no trial was begun: it goes on", (step) => {
    expect(resolveUpgrade(found({ step, trials: 0 }))).toEqual({ how: "resume" });
  });

  test.each(AFTER_BOOT)("at %s back in the old system with evidence the trial failed, and says why", (step) => {
    expect(resolveUpgrade(found({ step, evidence: ["cannot open the root"] }))).toEqual({
      how: "undo",
      code: "trial-failed",
      why: "cannot open the root",
    });
  });

  test.each(AFTER_BOOT)(
    "at %s back in the old system without a trace it is armed again, three times at most",
    (step) => {
      const ends = [1, 2, 3, 4].map((trials) => resolveUpgrade(found({ step, trials })).how);
      expect(ends).toEqual(["again", "again", "again", "undo"]);
      expect(ends.filter((how) => how === "again")).toHaveLength(TRIALS - 1);
    },
  );

  test("a hostd that only started again before the reboot came asks for it again", () => {
    expect(resolveUpgrade(found({ sameBoot: true, evidence: ["of an earlier trial"] }))).toEqual({ how: "resume" });
  });

  test("an exchange of hostd that the guard took back failed, and says why, though no boot lies between", () => {
    for (const step of AFTER_BOOT) {
      const taken = found({ step, live: true, sameBoot: true, evidence: ["not ready within 120 s"] });
      expect(resolveUpgrade(taken)).toEqual({ how: "undo", code: "trial-failed", why: "not ready within 120 s" });
    }
  });

  test("a hostd that started again before its exchange came asks for it again, three times at most", () => {
    const asked = (trials: number) => resolveUpgrade(found({ live: true, sameBoot: true, trials })).how;
    expect([0, 1, 2, 3, 4].map(asked)).toEqual(["resume", "resume", "resume", "resume", "undo"]);
    const never = found({ live: true, sameBoot: true, trials: 4 });
    expect(resolveUpgrade(never)).toMatchObject({ code: "interrupted" }); // it never ran: it is not at fault
  });

  test("an exchange that a power cut ended without a trace is armed again, also where the guard could not say why", () => {
    expect(resolveUpgrade(found({ live: true })).how).toBe("again");
    expect(resolveUpgrade(found({ live: true, sameBoot: true, step: "gates" })).how).toBe("again");
  });

  test("a third system was booted by somebody: the upgrade is taken back, nobody is at fault", () => {
    expect(resolveUpgrade(found({ booted: OTHER }))).toMatchObject({ how: "undo", code: "interrupted" });
  });

  test("every case has one outcome, and none leaves an upgrade half way without an end", () => {
    for (const step of [undefined, ...steps]) {
      for (const booted of [OLD, NEW, OTHER]) {
        for (const evidence of [[], ["panic"]]) {
          for (const sameBoot of [true, false]) {
            for (const live of [true, false]) {
              const { how } = resolveUpgrade(found({ step, booted, evidence, live, sameBoot, trials: TRIALS }));
              expect(["resume", "undo"]).toContain(how);
            }
          }
        }
      }
    }
  });
});

describe("evidenceOf", () => {
  test("the last word of the initrd or the guard, and records of the kernel", () => {
    expect(evidenceOf({ bootLog: [], records: [] })).toEqual([]);
    expect(evidenceOf({ bootLog: ["first", "root: verity failed"], records: [] })).toEqual(["root: verity failed"]);
    expect(evidenceOf({ bootLog: [], records: ["dmesg-efi-1"] })).toEqual(["the kernel left 1 records of its end"]);
  });
});
