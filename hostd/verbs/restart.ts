import type { Verb } from "../../terminal/verb.ts";
import { argument, OPERATION_OPTIONS, operate } from "./answer.ts";

export const verb: Verb = {
  name: "restart",
  summary: "stop what runs and start it again, judged; what does not come back is stopped and held",
  arguments: [{ name: "<app>", summary: "the app" }],
  options: OPERATION_OPTIONS,
  examples: ["hostd restart shop"],
  run: (invocation) => operate(invocation, argument(invocation, 0), "restart", {}),
};
