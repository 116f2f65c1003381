import type { Verb } from "../../terminal/verb.ts";
import { argument, OPERATION_OPTIONS, operate } from "./answer.ts";

export const verb: Verb = {
  name: "stage",
  summary: "bring a channel's release onto this node; changes nothing that runs",
  arguments: [{ name: "<app>", summary: "the product to stage" }],
  options: [
    { flags: "--channel <name>", summary: "another channel than hostd's own" },
    { flags: "--rate <bytes>", summary: "most bytes per second to fetch, below hostd's own limit: 500k, 10M" },
    ...OPERATION_OPTIONS,
  ],
  examples: ["hostd stage shop", "hostd stage shop --channel staging --no-wait"],
  run: (invocation) =>
    operate(invocation, argument(invocation, 0), "stage", {
      channel: invocation.options["channel"],
      rate: invocation.options["rate"],
    }),
};
