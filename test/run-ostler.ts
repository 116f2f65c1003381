import { spawn } from "node:child_process";
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
export async function runOstler(
  home: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Ended> {
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
  const exitCode = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { exitCode, stdout, stderr, json: stdout.startsWith("{") ? JSON.parse(stdout) : undefined };
}
