import { spawn } from "node:child_process";
import { encodeFields } from "./holder-protocol.ts";
import { type Program, specFields } from "./launch.ts";
import type { HookResult } from "./node.ts";
import { killGroup } from "./proc.ts";

const OUTPUT_LIMIT = 16 * 1024;

/** What the programs that make a sandbox see; an image's environment is set by enter.pl alone. */
const CLEAN_ENVIRONMENT = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };

/**
 * Runs a command line that ends in enter.pl (launchCommand or besideCommand, without sockets) to its end, or to
 * SIGKILL after `timeoutMs` or when the signal is aborted. A program that cannot be run gives exit code 127 and the
 * reason as output.
 */
export async function runEntered(
  command: readonly string[],
  program: Program,
  user: number,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<HookResult> {
  const [executable = "", ...args] = command;
  const spec = encodeFields(specFields(program, user, 0));
  // A process group of its own, so that all of it goes at the timeout. Descriptors as descriptorsOf(0).
  const stdio = ["ignore", "pipe", "pipe", "pipe", "pipe"] as const;
  const child = spawn(executable, args, { detached: true, env: CLEAN_ENVIRONMENT, stdio: [...stdio] });
  const [, stdout, stderr, specPipe, report] = child.stdio;

  let output = "";
  const collect = (chunk: Buffer) => {
    output = `${output}${chunk}`.slice(-OUTPUT_LIMIT);
  };
  stdout?.on("data", collect);
  stderr?.on("data", collect);
  let told = "";
  if (report && "on" in report) report.on("data", (chunk: Buffer) => (told += chunk));
  if (specPipe && "end" in specPipe) {
    specPipe.on("error", () => {}); // the sandbox may fail before it reads; its exit code and output tell
    specPipe.end(spec);
  }

  let timedOut = false;
  const kill = () => killGroup(child.pid);
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, timeoutMs);
  signal?.addEventListener("abort", kill);
  if (signal?.aborted) kill();
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve(code ?? 137));
    });
    return { exitCode, output: `${output}${told.replace(/^entered\n/, "")}`, timedOut };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", kill);
  }
}
