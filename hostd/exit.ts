import type { JobRun } from "../manifests/node.ts";

interface Ended {
  code?: number | undefined;
  signal?: string | undefined;
  oom?: true | undefined;
}

/** How a process ended, in words: one wording for checks, verdicts, history and the failure bundle. */
export function describeExit({ code, signal, oom }: Ended): string {
  const why = oom === true ? ": out of memory, the kernel killed it or a process of it" : "";
  if (signal !== undefined) return `killed by ${signal}${why}`;
  return code === undefined ? "ended together with its parent, which alone could say how" : `exit code ${code}${why}`;
}

/** How a run of a job ended, and after how long. */
export function howRunEnded({ started, ended, exitCode, signal, oom, timedOut }: Partial<JobRun>): string {
  if (started === undefined || ended === undefined) return "its end is not known";
  const took = `${(Math.max(0, Date.parse(ended) - Date.parse(started)) / 1_000).toFixed(1)} s`;
  const how = describeExit({ code: exitCode, signal, oom });
  return timedOut === true ? `ended by hostd after ${took}, since it took too long (${how})` : `${how} after ${took}`;
}
