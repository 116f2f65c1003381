import { spawn } from "node:child_process";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { hasErrno, unlessMissing } from "../../effects/errno.ts";
import type { HostCheck, HostScriptKind } from "../../manifests/node.ts";
import { killGroup } from "./proc.ts";

const OUTPUT_LIMIT = 16 * 1024;
const DETAIL_LIMIT = 300;
/** How long the output of a script's leftovers is waited for once it has ended, milliseconds. */
const LINGER = 500;
const WRITABLE_BY_OTHERS = 0o022;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface HostScripts {
  /** Later ones win over earlier ones by name: vendor first, then admin. A link to /dev/null masks a vendor's script. */
  directories: readonly string[];
  kind: HostScriptKind;
  /** What the scripts are told, besides PATH. */
  env: Readonly<Record<string, string>>;
  /** Milliseconds until a script, with all it started, gets SIGKILL. */
  timeout: number;
  date(): Date;
  signal: AbortSignal;
}

/** Runs every script of one kind, by name, one after the other; answers one result each, also for those not run. */
export async function runHostScripts(
  scripts: HostScripts,
  report: (result: HostCheck) => void = () => {},
): Promise<HostCheck[]> {
  const results: HostCheck[] = [];
  for (const [name, path] of await findScripts(scripts)) {
    if (scripts.signal.aborted) break;
    const started = performance.now();
    const at = scripts.date().toISOString();
    const outcome = (await reasonNotToRun(path)) ?? (await runScript(path, scripts));
    const took = Math.round(performance.now() - started);
    const result = { check: `${scripts.kind}/${name}`, path, ...outcome, took, at };
    results.push(result);
    report(result);
  }
  return results;
}

async function findScripts({ directories, kind }: HostScripts): Promise<[string, string][]> {
  const found = new Map<string, string>();
  for (const directory of directories) {
    for (const name of await namesIn(join(directory, kind))) found.set(name, join(directory, kind, name));
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1));
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => !name.startsWith("."));
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
}

type Outcome = Pick<HostCheck, "outcome" | "detail" | "exitCode">;

/** A script that others than root may change is not run and has failed: hostd would run their words as root. */
async function reasonNotToRun(path: string): Promise<Outcome | undefined> {
  const found = await unlessMissing(stat(path));
  if (found === undefined) return { outcome: "failed", detail: "not run: a link that leads nowhere" };
  if (found.isCharacterDevice()) return { outcome: "skipped", detail: "masked" };
  if (!found.isFile()) return { outcome: "skipped", detail: "not a file" };
  if ((found.mode & 0o111) === 0) return { outcome: "skipped", detail: "not executable" };
  const owner = process.getuid?.() ?? 0;
  if ((found.uid !== 0 && found.uid !== owner) || (found.mode & WRITABLE_BY_OTHERS) !== 0) {
    return { outcome: "failed", detail: "not run: others than root may write to it" };
  }
  return undefined;
}

async function runScript(path: string, { env, timeout, signal }: HostScripts): Promise<Outcome> {
  const child = spawn(path, [], { detached: true, env: { PATH, ...env }, stdio: ["ignore", "pipe", "pipe"], cwd: "/" });
  let output = "";
  const collect = (chunk: Buffer) => {
    output = `${output}${chunk}`.slice(-OUTPUT_LIMIT);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  let timedOut = false;
  const kill = () => killGroup(child.pid);
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, timeout);
  signal.addEventListener("abort", kill, { once: true });
  try {
    const end = await new Promise<{ code?: number; signal?: string; error?: Error }>((resolve) => {
      child.once("error", (error) => resolve({ error }));
      child.once("exit", (code, by) => resolve(code === null ? { signal: by ?? "SIGKILL" } : { code }));
    });
    clearTimeout(timer);
    if (end.error === undefined) await lingering(child);
    return outcomeOf(end, timedOut, timeout, output);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", kill);
    kill();
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

function outcomeOf(
  end: { code?: number; signal?: string; error?: Error },
  timedOut: boolean,
  timeout: number,
  output: string,
): Outcome {
  const said = output.trim().replace(/\s+/g, " ").slice(-DETAIL_LIMIT);
  const more = said === "" ? "" : `: ${said}`;
  if (end.error !== undefined) return { outcome: "failed", detail: `cannot be run: ${end.error.message}` };
  if (timedOut) return { outcome: "timed-out", detail: `no end within ${timeout} ms${more}` };
  if (end.signal !== undefined) return { outcome: "failed", detail: `killed by ${end.signal}${more}` };
  const exitCode = end.code ?? 0;
  return { outcome: exitCode === 0 ? "ok" : "failed", exitCode, detail: `exit code ${exitCode}${more}` };
}

/** What a script left running may hold its output open: that is not waited for. */
function lingering(child: ReturnType<typeof spawn>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, LINGER);
    child.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
