import { createHash } from "node:crypto";
import type { TestFacts } from "../../keys/statements.ts";
import { digestFromHex } from "../../manifests/digest.ts";
import { canonicalJson } from "../../manifests/document.ts";
import { findTestNames } from "./test-names.ts";

/** One suite as it ran in the built image. */
export interface SuiteRun {
  name: string;
  /** What was run: command, environment, network; its digest is signed. */
  declaration: object;
  /** The exit code was 0 within the time allowed. */
  ok: boolean;
  output: string;
}

/** Green when every suite passed, red when one failed; no suite gives no mark, since nothing was tested. */
export type Mark = "green" | "red" | "none";

export function markOf(runs: readonly SuiteRun[]): Mark {
  if (runs.length === 0) return "none";
  return runs.every(({ ok }) => ok) ? "green" : "red";
}

/**
 * What the tester signs of the suites. The exit code decides about a suite; the names of its tests come from its
 * output where it tells them, else the suite's own name stands for them.
 */
export function testFactsOf(product: string, runs: readonly SuiteRun[]): TestFacts {
  const named = runs.map(({ name, ok, output }) => {
    const found = findTestNames(output);
    const label = (test: string) => `${name}: ${test}`;
    if (ok) return { passed: found.passed.length > 0 ? found.passed.map(label) : [name], failed: [] };
    return { passed: found.passed.map(label), failed: found.failed.length > 0 ? found.failed.map(label) : [name] };
  });
  return {
    name: product,
    suites: runs.map(({ name, declaration }) => ({ name, digest: digestOf(declaration) })),
    passed: named.flatMap(({ passed }) => passed),
    failed: named.flatMap(({ failed }) => failed),
  };
}

function digestOf(declaration: object) {
  return digestFromHex(createHash("sha256").update(canonicalJson(declaration)).digest("hex"));
}
