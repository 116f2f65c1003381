import { spawn } from "node:child_process";
import { once } from "node:events";
import { run } from "../effects/process.ts";

/** Where the demo's commands run: what a reader would have exported before typing them. */
export interface Place {
  directory: string;
  environment: Record<string, string>;
  /** Aborted when somebody ends the demo: the command at hand ends, and no other begins. */
  interrupted: AbortSignal;
}

const BOLD = "\x1b[1m";
const DIM = "\x1b[2m";
const PLAIN = "\x1b[0m";

const colour = process.stdout.isTTY === true;
const paint = (code: string, text: string) => (colour ? `${code}${text}${PLAIN}` : text);

export function heading(text: string): void {
  process.stdout.write(`\n${paint(BOLD, `── ${text} `)}${"─".repeat(Math.max(3, 76 - text.length))}\n`);
}

export function say(text: string): void {
  process.stdout.write(`${paint(DIM, text.replace(/^/gm, "   "))}\n`);
}

/** Prints a command as a reader would type it, runs it on this terminal, and answers its exit code. */
export async function type(place: Place, line: string, expected: number): Promise<number> {
  place.interrupted.throwIfAborted();
  const child = start(place, line);
  const end = () => child.kill("SIGINT");
  place.interrupted.addEventListener("abort", end);
  const [code] = (await once(child, "exit")) as [number | null];
  place.interrupted.removeEventListener("abort", end);
  place.interrupted.throwIfAborted();
  if (code !== expected) throw new Error(`${line}: expected exit code ${expected}, got ${code}`);
  if (expected !== 0) say(`exit code ${code}, as it should be`);
  return expected;
}

/** As `type`, for what has to be done also when the demo was interrupted. */
export async function typeToTheEnd(place: Place, line: string): Promise<void> {
  const [code] = (await once(start(place, line, true), "exit")) as [number | null];
  if (code !== 0) throw new Error(`${line}: expected exit code 0, got ${code}`);
}

/** `detached`: Ctrl-C on the terminal does not reach it. */
function start(place: Place, line: string, detached = false) {
  process.stdout.write(`${paint(BOLD, "$")} ${line}\n`);
  const shown = process.stdout.isTTY === true ? line : line.replace(/^(ostler|hostd)(.*)$/, "$1$2 --no-json");
  return spawn("sh", ["-c", line.includes("&&") ? shown : `exec ${shown}`], {
    cwd: place.directory,
    env: { ...process.env, ...place.environment },
    stdio: ["ignore", "inherit", "inherit"],
    detached,
  });
}

/** Starts a command that stays, prints it with its `&`, and answers how to end it. */
export function typeInBackground(place: Place, line: string, log: number): { stop(): Promise<void>; pid: number } {
  process.stdout.write(`${paint(BOLD, "$")} ${line} &\n`);
  const child = spawn("sh", ["-c", `exec ${line}`], {
    cwd: place.directory,
    env: { ...process.env, ...place.environment },
    stdio: ["ignore", log, log],
    detached: true,
  });
  const exited = once(child, "exit");
  return {
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill("SIGTERM");
      await exited;
    },
  };
}

/** The same command for its value, silently. */
export async function ask<T>(place: Place, command: string[]): Promise<T> {
  const env = { ...process.env, ...place.environment };
  const { stdout } = await run([...command, "--json"], { cwd: place.directory, env });
  return JSON.parse(stdout) as T;
}
