import { expect, test } from "vitest";
import { verdictOf } from "../../../../hostd/health/verdict.ts";
import type { AppStatus } from "../../../../manifests/node.ts";

const current = {} as NonNullable<AppStatus["current"]>;
const app = (health: AppStatus["health"]) => ({ health, current });

test.each([
  ["green", []],
  ["green", [app("healthy"), app("healthy")]],
  ["green", [{ health: "unknown" as const }]],
  ["unknown", [app("healthy"), app("judging")]],
  ["unknown", [app("unknown")]],
  ["red", [app("judging"), app("unhealthy")]],
  ["red", [{ health: "stopped" as const, hold: "sick after a restart" }]],
])("%s for %j", (verdict, apps) => {
  expect(verdictOf({ apps, problems: [] })).toBe(verdict);
});

test("red where the node has a problem, however its apps are", () => {
  expect(verdictOf({ apps: [app("healthy")], problems: ["its secrets cannot be read"] })).toBe("red");
});
