import type { Verb } from "../../terminal/verb.ts";
import { argument, OPERATION_OPTIONS, operate } from "./answer.ts";

export const verb: Verb = {
  name: "snapshot create",
  summary: "stop the app for a moment and snapshot its data",
  arguments: [{ name: "<app>", summary: "the app" }],
  options: OPERATION_OPTIONS,
  run: (invocation) => operate(invocation, argument(invocation, 0), "snapshot", {}),
};
