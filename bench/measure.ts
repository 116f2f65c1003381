import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ProcessError, run } from "../effects/process.ts";

export interface Measure {
  /** Seconds. */
  wall: number;
  cpu: number;
  /** Largest process, MB. */
  rss: number;
  /** MB handed to the file system. */
  written: number;
}

/** Bytes of a block as getrusage counts them. */
const RUSAGE_BLOCK = 512;
const MB = 1_000_000;

/** Runs shell text and a barrier under GNU time. */
export async function measure(command: string, target: string): Promise<Measure> {
  const report = join(target, "time.txt");
  const shell = ["sh", "-ec", `${command}\nsync -f ${target}`];
  await run(["/usr/bin/time", "-q", "-f", "%e %U %S %M %O", "-o", report, ...shell]);
  const { stdout } = await run(["tail", "-n1", report]);
  const [wall = 0, user = 0, system = 0, rss = 0, blocks = 0] = stdout.trim().split(" ").map(Number);
  return { wall, cpu: user + system, rss: (rss * 1024) / MB, written: (blocks * RUSAGE_BLOCK) / MB };
}

/** A directory for one round; what is in it is unmounted by `leave` and deleted. */
export async function withTarget<T>(
  below: string,
  leave: ((target: string) => string) | undefined,
  use: (target: string) => Promise<T>,
) {
  const target = mkdtempSync(join(below, "round-"));
  try {
    return await use(target);
  } finally {
    if (leave !== undefined) await run(["sh", "-c", leave(target)]).catch(tolerate);
    rmSync(target, { recursive: true, force: true });
  }
}

/** MB on the disk, hard links once. */
export async function diskUsed(target: string): Promise<number> {
  const { stdout } = await run(["du", "-sx", "--block-size=1000000", target]);
  return Number(stdout.split("\t")[0]);
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** There may be nothing to unmount. */
function tolerate(error: unknown): void {
  if (!(error instanceof ProcessError)) throw error;
}
