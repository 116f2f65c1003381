import { expect, test } from "vitest";
import { compareLimits, describeUnheld } from "../../../../hostd/switch/limits.ts";

test("compareLimits: held is what is in force at most; what is not there is not held, and is told", () => {
  const limits = compareLimits(
    { memory: 8_388_608, cpu: 50, tasks: 10 },
    { memory: 8_388_608, tasks: 20, files: 1024 },
  );
  expect(limits).toEqual([
    { limit: "memory", declared: 8_388_608, inForce: 8_388_608, held: true },
    { limit: "cpu", declared: 50, held: false },
    { limit: "tasks", declared: 10, inForce: 20, held: false },
  ]);
  expect(describeUnheld(limits)).toEqual([
    "limit cpu=50 is not held on this node: no limit is in force",
    "limit tasks=10 is not held on this node: 20 is in force",
  ]);
});

test("compareLimits: of a process that has ended no limit is said to be missing", () => {
  expect(compareLimits({ memory: 8_388_608, files: 32 }, undefined)).toEqual([]);
  expect(compareLimits({ files: 32 }, {})).toEqual([{ limit: "files", declared: 32, held: false }]);
});
