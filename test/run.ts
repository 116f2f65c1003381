import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";

// Runs the checks and the tests and ends with one line, "N passed, N failed"; `check` leaves out what needs root.

interface Count {
  passed: number;
  failed: number;
}

const root = join(import.meta.dirname, "..");
const programs = join(root, "node_modules", ".bin");
const results = join(root, ".ostler", "tests.json");

const [scope = "all", ...filters] = process.argv.slice(2);
const checks =
  filters.length > 0 ? [] : [["tsc", "--noEmit"], ["biome", "check", "--error-on-warnings", "."], ["knip"]];
const counts = [...checks.map(check), tests(scope === "check" ? ["unit"] : ["unit", "integration", "vm"])];
const total = counts.reduce((sum, count) => ({ passed: sum.passed + count.passed, failed: sum.failed + count.failed }));
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
process.exitCode = total.failed > 0 ? 1 : 0;

function check([program = "", ...args]: string[]): Count {
  const ended = start(program, args);
  process.stdout.write(`${ended ? "ok" : "not ok"}: ${[program, ...args].join(" ")}\n`);
  return ended ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

function tests(projects: string[]): Count {
  mkdirSync(join(root, ".ostler"), { recursive: true });
  rmSync(results, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${results}`];
  const ended = start("vitest", ["run", ...projects.flatMap((name) => ["--project", name]), ...reporters, ...filters]);
  const report = JSON.parse(readFileSync(results, "utf8")) as { numPassedTests: number; numTotalTests: number };
  const failed = report.numTotalTests - report.numPassedTests;
  return { passed: report.numPassedTests, failed: ended ? failed : Math.max(1, failed) };
}

function start(program: string, args: string[]): boolean {
  const env = { ...process.env, PATH: `${programs}${delimiter}${process.env["PATH"]}` };
  return spawnSync(join(programs, program), args, { cwd: root, env, stdio: "inherit" }).status === 0;
}
