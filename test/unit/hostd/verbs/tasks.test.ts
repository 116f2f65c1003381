import { expect, test } from "vitest";
import { toTasks } from "../../../../hostd/verbs/tasks.ts";
import { operationExample } from "../../../../manifests/node.ts";

const at = "2026-11-21T03:00:00.000Z";
const steps = [
  { name: "mount", started: at, done: at },
  { name: "flip", started: at, done: at, undone: at },
  { name: "judge", started: at },
  { name: "commit" },
];
const states = (state: "running" | "reverting" | "done" | "failed") =>
  toTasks({ ...operationExample, state, steps }).map((task) => task.state);

test("a step is done, undone, being done, failed, to do or not reached", () => {
  expect(states("running")).toEqual(["done", "undone", "doing", "to do"]);
  expect(states("failed")).toEqual(["done", "undone", "failed", "not reached"]);
  expect(states("reverting")).toEqual(["done", "undone", "failed", "not reached"]);
});
