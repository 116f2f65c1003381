interface Ended {
  code?: number | undefined;
  signal?: string | undefined;
  oom?: true | undefined;
}

/** How a process ended, in words: one wording for checks, verdicts, history and the failure bundle. */
export function describeExit({ code, signal, oom }: Ended): string {
  const why = oom === true ? ": out of memory, the kernel killed it or a process of it" : "";
  if (signal !== undefined) return `killed by ${signal}${why}`;
  return code === undefined ? "ended together with its holder" : `exit code ${code}${why}`;
}
