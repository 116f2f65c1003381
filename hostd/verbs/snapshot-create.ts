import type { Verb } from "../../terminal/verb.ts";
import { argument, OPERATION_OPTIONS, operate, text } from "./answer.ts";

export const verb: Verb = {
  name: "snapshot create",
  summary: "snapshot the data of an app; without a QUIESCE hook the app is stopped for the moment",
  arguments: [{ name: "<app>", summary: "the app" }],
  options: [
    ...OPERATION_OPTIONS,
    { flags: "--ttl <time>", summary: "how long it is kept: 14d, 36h, never", default: "never" },
  ],
  examples: ["hostd snapshot create shop --ttl 14d"],
  run: (invocation) =>
    operate(invocation, argument(invocation, 0), "snapshot", { ttl: text(invocation.options["ttl"]) ?? "never" }),
};
