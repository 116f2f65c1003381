import type { TestFacts } from "../../keys/statements.ts";
import type { SuiteResult } from "../tests.ts";

/** Green when every suite passed, red when one failed; no suite gives no mark, since nothing was tested. */
export type Mark = "green" | "red" | "none";

/** What of a suite the verdict is made from. */
export type SuiteOutcome = Pick<SuiteResult, "name" | "digest" | "passed" | "failed">;

export function markOf(suites: readonly SuiteOutcome[]): Mark {
  if (suites.length === 0) return "none";
  return suites.some(({ failed }) => failed.length > 0) ? "red" : "green";
}

/** What the tester signs of the suites; each test is named after its suite. */
export function testFactsOf(product: string, suites: readonly SuiteOutcome[]): TestFacts {
  return {
    name: product,
    suites: suites.map(({ name, digest }) => ({ name, digest })),
    passed: suites.flatMap(({ name, passed }) => passed.map((test) => labelOf(name, test))),
    failed: suites.flatMap(({ name, failed }) => failed.map((test) => labelOf(name, test))),
  };
}

/** A suite that names no tests stands for itself. */
function labelOf(suite: string, test: string): string {
  return suite === test ? suite : `${suite}: ${test}`;
}
