import { spawnSync } from "node:child_process";
import { describe } from "vitest";

/** What a group of tests needs from the machine; in CI a missing need fails instead of skipping. */
export interface Needs {
  root?: boolean;
  programs?: readonly string[];
}

/** `describe` for tests that need root or programs: says in the title why it skips, and never skips in CI. */
export function describeWith(needs: Needs, title: string, tests: () => void): void {
  const missing = missingOf(needs);
  if (missing.length === 0) return void describe(title, tests);
  if (process.env["CI"] !== undefined)
    throw new Error(`${title}: this machine lacks ${missing.join(", ")}; run ./run setup`);
  describe.skip(`${title} (skipped: needs ${missing.join(", ")}; ./run setup installs it)`, tests);
}

function missingOf(needs: Needs): string[] {
  const programs = (needs.programs ?? []).filter((name) => spawnSync("sh", ["-c", `command -v ${name}`]).status !== 0);
  return [...(needs.root === true && process.getuid?.() !== 0 ? ["root"] : []), ...programs];
}
