/** Test names taken from one suite's output, and how long one may be: output comes from inside the image. */
const MOST_NAMES = 1000;
const LONGEST_NAME = 200;

/** TAP, as `node --test` and prove print it. */
const TAP_LINE = /^\s*(not )?ok \d+(?: -)? (.+?)(?: # .*)?$/;
/** The spec reporter of `node --test` and of vitest. */
const SPEC_LINE = /^\s*([✔✓✖✗×]) (.+?)(?: \(\d[\d.]*m?s\))?$/;
const SPEC_PASSED = "✔✓";
/** The line above the spec reporter's repetition of what failed. */
const SPEC_HEADING = "failing tests:";

export interface TestNames {
  passed: string[];
  failed: string[];
}

/** The tests that a suite's output names, in TAP or in the spec form; a name is given once, failed if it ever failed. */
export function findTestNames(output: string): TestNames {
  const passed = new Set<string>();
  const failed = new Set<string>();
  for (const line of output.split("\n")) {
    const found = readLine(line);
    if (found === undefined || passed.size + failed.size >= MOST_NAMES) continue;
    (found.ok ? passed : failed).add(found.name.slice(0, LONGEST_NAME));
  }
  return { passed: [...passed].filter((name) => !failed.has(name)), failed: [...failed] };
}

function readLine(line: string): { ok: boolean; name: string } | undefined {
  const tap = TAP_LINE.exec(line);
  if (tap?.[2] !== undefined) return { ok: tap[1] === undefined, name: tap[2] };
  const spec = SPEC_LINE.exec(line);
  if (spec?.[1] === undefined || spec[2] === undefined || spec[2] === SPEC_HEADING) return undefined;
  return { ok: SPEC_PASSED.includes(spec[1]), name: spec[2] };
}
