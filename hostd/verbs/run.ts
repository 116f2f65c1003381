import type { Verb } from "../../terminal/verb.ts";
import { argument, OPERATION_OPTIONS, operate } from "./answer.ts";

export const verb: Verb = {
  name: "run",
  summary: "run a job once more, to its end; exit code 1 where its own is not 0",
  arguments: [{ name: "<app>", summary: "the job, which was activated before" }],
  options: OPERATION_OPTIONS,
  examples: ["hostd run backup"],
  run: (invocation) => operate(invocation, argument(invocation, 0), "run", {}),
};
