import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

const MAIN = join(import.meta.dirname, "../cli/main.ts");

/** How a command line of `ostler` ended. */
export interface Ended {
  exitCode: number | null;
  stdout: string;
  stderr: string;
  /** Standard output where it is JSON. */
  json: unknown;
}

/** Runs the real program on a home, as an operator does; CI is unset unless the test sets it. */
export function runOstler(
  home: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Ended> {
  return spawnOstler(home, args, environment).ended;
}

/** The same, for a test that does something to the process meanwhile. */
export function spawnOstler(
  home: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): { child: ChildProcess; ended: Promise<Ended> } {
  const { CI: _, ...inherited } = process.env;
  const env = { ...inherited, OSTLER_HOME: home, ...environment };
  const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve)).then((exitCode) => ({
    exitCode,
    stdout,
    stderr,
    json: stdout.startsWith("{") ? JSON.parse(stdout) : undefined,
  }));
  return { child, ended };
}
