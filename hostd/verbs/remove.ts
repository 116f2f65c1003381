import type { Verb } from "../../terminal/verb.ts";
import { argument, OPERATION_OPTIONS, operate } from "./answer.ts";

export const verb: Verb = {
  name: "remove",
  summary: "take an app off the node: it is stopped, and its versions go; its data stays unless --data is said",
  arguments: [{ name: "<app>", summary: "the app" }],
  options: [...OPERATION_OPTIONS, { flags: "--data", summary: "delete its data and every snapshot of it too" }],
  examples: ["hostd remove shop", "hostd remove shop --data"],
  run: (invocation) =>
    operate(invocation, argument(invocation, 0), "remove", { data: invocation.options["data"] === true }),
};
