import type { Verb } from "../../terminal/verb.ts";
import { argument, OPERATION_OPTIONS, operate } from "./answer.ts";

export const verb: Verb = {
  name: "start",
  summary: "start an app that is kept stopped, as it is, judged; what does not come up is stopped again",
  arguments: [{ name: "<app>", summary: "the app" }],
  options: OPERATION_OPTIONS,
  examples: ["hostd start shop"],
  run: (invocation) => operate(invocation, argument(invocation, 0), "start", {}),
};
