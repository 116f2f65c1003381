import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { withLock } from "../effects/lock.ts";
import { Failure, toFailureDocument } from "../manifests/failure.ts";
import { table } from "../terminal/table.ts";

/** A demo from its first line to its table of times. */
export interface Play {
  /** Aborted when somebody ends the demo. */
  readonly interrupted: AbortSignal;
  /** Does a part of the story that stands in the table, with what came of it. */
  act<T>(name: string, outcome: string, work: () => Promise<T>): Promise<T>;
  /** Plays the story, alone in its directory. A failure is told with `hint` where it has none of its own, and makes the exit code 1. */
  play(story: () => Promise<void>, hint: string): Promise<void>;
}

export function openPlay(directory: string): Play {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => interrupted.abort(new Failure("failed", "interrupted", `interrupted by ${signal}`)));
  }
  const rows: string[][] = [];
  return {
    interrupted: interrupted.signal,
    async act(name, outcome, work) {
      const started = Date.now();
      const value = await work();
      rows.push([name, ((Date.now() - started) / 1000).toFixed(1), outcome]);
      return value;
    },
    async play(story, hint) {
      mkdirSync(directory, { recursive: true });
      try {
        await withLock(join(directory, "running"), story, 0);
        process.stdout.write(`\n${table(["what happened", "seconds", "outcome"], rows)}\n`);
      } catch (error) {
        const failure = toFailureDocument(error);
        process.stderr.write(`error: the demo stopped: ${failure.message}\nhint: ${failure.hint ?? hint}\n`);
        process.exitCode = 1;
      }
    },
  };
}
