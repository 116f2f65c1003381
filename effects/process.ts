import { spawn } from "node:child_process";
import { Failure } from "../manifests/failure.ts";

export interface RunOptions {
  cwd?: string;
  /** The whole environment of the process; the default is this process's own. */
  env?: Record<string, string | undefined>;
  input?: string | Uint8Array;
  /** Milliseconds until SIGKILL. */
  timeout?: number;
  /** Called with each piece of output as it comes, both streams. */
  onOutput?: (text: string, from: "stdout" | "stderr") => void;
  uid?: number;
  gid?: number;
  /** When it is aborted the process gets SIGKILL; once it is gone its `reason` is thrown. */
  signal?: AbortSignal | undefined;
}

export interface ProcessResult {
  stdout: string;
  stderr: string;
}

/** The most output kept per stream, in bytes. A program that writes more is killed, unless its output is watched. */
const OUTPUT_LIMIT = 64 * 1024 * 1024;
const LAST_LINES = 20;

/** A process that did not end with 0: command quoted for copy and paste, how it ended, its last output. */
export class ProcessError extends Failure {
  declare readonly code: "process-failed" | "process-missing";
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly timedOut: boolean;
  readonly output: string;

  constructor(command: readonly string[], end: ProcessEnd) {
    const shown = quoteCommand(command);
    const code = end.missing ? "process-missing" : "process-failed";
    super("failed", code, `${shown}: ${describe(end)}${end.output === "" ? "" : `\n${end.output}`}`, {
      hint: end.missing ? `install ${command[0]}: ./run setup installs what ostler needs` : undefined,
    });
    this.exitCode = end.exitCode;
    this.signal = end.signal;
    this.timedOut = end.timedOut;
    this.output = end.output;
  }
}

interface ProcessEnd {
  exitCode: number | undefined;
  signal: string | undefined;
  timedOut: boolean;
  missing: boolean;
  output: string;
}

/** Runs one program, without a shell, to its end. Throws ProcessError unless it exits 0. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<ProcessResult> {
  const [program = "", ...args] = command;
  options.signal?.throwIfAborted();
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    timeout: options.timeout,
    killSignal: "SIGKILL",
    uid: options.uid,
    gid: options.gid,
  });
  const started = Date.now();
  const kill = () => child.kill("SIGKILL");
  options.signal?.addEventListener("abort", kill);
  const stdout = collect(child.stdout, "stdout", options.onOutput, kill);
  const stderr = collect(child.stderr, "stderr", options.onOutput, kill);
  child.stdin?.on("error", () => {}); // a program may end before it has read its input; its exit code decides
  child.stdin?.end(options.input);
  const end = await new Promise<ProcessEnd>((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") return reject(error);
      resolve({ exitCode: undefined, signal: undefined, timedOut: false, missing: true, output: "" });
    });
    child.once("close", (exitCode, signal) => {
      const timedOut = signal === "SIGKILL" && options.timeout !== undefined && Date.now() - started >= options.timeout;
      const output = lastLines(`${stdout.text()}${stderr.text()}`);
      resolve({ exitCode: exitCode ?? undefined, signal: signal ?? undefined, timedOut, missing: false, output });
    });
  }).finally(() => options.signal?.removeEventListener("abort", kill));
  options.signal?.throwIfAborted();
  if (end.exitCode !== 0) throw new ProcessError(command, end);
  return { stdout: stdout.text(), stderr: stderr.text() };
}

/** The command as a shell would take it. */
export function quoteCommand(command: readonly string[]): string {
  return command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(" ");
}

/** Who watches the output as it comes needs only its end here; for anybody else a cut output would be a wrong answer. */
function collect(
  stream: NodeJS.ReadableStream | null,
  from: "stdout" | "stderr",
  onOutput: RunOptions["onOutput"],
  overflow: () => void,
) {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on("data", (chunk: Buffer) => {
    size += chunk.length;
    chunks.push(chunk);
    if (size > OUTPUT_LIMIT && onOutput === undefined) overflow();
    while (size > OUTPUT_LIMIT) size -= chunks.shift()?.length ?? size;
    onOutput?.(chunk.toString(), from);
  });
  return { text: () => Buffer.concat(chunks).toString() };
}

function describe(end: ProcessEnd): string {
  if (end.missing) return "program not found";
  if (end.timedOut) return "killed because it took too long";
  return end.signal === undefined ? `exit code ${end.exitCode}` : `killed by ${end.signal}`;
}

function lastLines(text: string): string {
  return text.trimEnd().split("\n").slice(-LAST_LINES).join("\n");
}
