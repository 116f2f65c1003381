import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { constants } from "node:os";
import { unlessMissing } from "../../effects/errno.ts";
import { NodeError } from "./failure.ts";

const OUTPUT_LIMIT = 16 * 1024 * 1024;

/** Makes /proc that of the app's processes, in a mount namespace that only the tool is in, and goes to the app's root. */
const PREPARE = 'mount -t proc proc /proc && cd "$1/" && export APP_ROOT="$1" && shift && exec "$@"';

/**
 * The command line that runs a host's program beside an app: in its pid, ipc, uts and net namespaces, with the host's
 * own root, so that an image needs no tool. The app's root is /proc/N/root; the app gets no sight of the host's files.
 */
export function inspectCommand(pid: number, inner: number, command: readonly string[]): string[] {
  return [
    ...["nsenter", "--target", String(pid), "--pid", "--ipc", "--uts", "--net", "--"],
    ...["unshare", "--mount", "--propagation", "private", "--"],
    ...["sh", "-c", PREPARE, "inspect", `/proc/${inner}/root`, ...command],
  ];
}

/** The number of a process as the innermost pid namespace it is in knows it, from /proc/PID/status. */
export function innerPid(status: string): number | undefined {
  const numbers = /^NSpid:\s+([\d\s]+)$/m.exec(status)?.[1]?.trim().split(/\s+/);
  return numbers === undefined ? undefined : Number(numbers.at(-1));
}

/** Runs a command beside a process with this program's own terminal; answers its exit code as a shell tells it. */
export async function openBeside(pid: number, command: readonly string[]): Promise<number> {
  const [program = "", ...args] = await commandFor(pid, command);
  const child = spawn(program, args, { stdio: "inherit" });
  // Ctrl-C is the tool's own: it gets it from the terminal.
  const ignore = () => {};
  process.on("SIGINT", ignore);
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => resolve(exitCodeOf(code, signal)));
    });
  } finally {
    process.off("SIGINT", ignore);
  }
}

/** Runs a command beside a process to its end and answers what it wrote, the first 16 MiB of each stream. */
export async function captureBeside(pid: number, command: readonly string[]) {
  const [program = "", ...args] = await commandFor(pid, command);
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      if (output[name].length < OUTPUT_LIMIT) output[name] += text;
    });
  }
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(exitCodeOf(code, signal)));
  });
  return { exitCode, ...output };
}

/** Of a program that a signal ended: 128 and the signal's number. */
function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

async function commandFor(pid: number, command: readonly string[]): Promise<string[]> {
  const status = await unlessMissing(readFile(`/proc/${pid}/status`, "utf8"));
  const inner = status === undefined ? undefined : innerPid(status);
  if (inner !== undefined) return inspectCommand(pid, inner, command);
  throw new NodeError("start-failed", `process ${pid}: expected a living process, found none`, {
    hint: "it may have been started again: ask once more",
  });
}
