import type { Invocation, Verb } from "../../terminal/verb.ts";
import { argument, OPERATION_OPTIONS, operate } from "./answer.ts";

export const verb: Verb = {
  name: "stage",
  summary: "bring a channel's release onto this node, or a version that ran here again; changes nothing that runs",
  arguments: [
    { name: "<app>", summary: "the product to stage" },
    { name: "[image]", summary: "digest of a version that ran here and is no longer on this node, or its beginning" },
  ],
  options: [
    { flags: "--channel <name>", summary: "another channel than hostd's own" },
    { flags: "--rate <bytes>", summary: "most bytes per second to fetch, below hostd's own limit: 500k, 10M" },
    ...OPERATION_OPTIONS,
  ],
  examples: ["hostd stage shop", "hostd stage shop --channel staging --no-wait", "hostd stage shop 5f0c1a2b3c4d"],
  run: (invocation) => operate(invocation, argument(invocation, 0), "stage", stageRequest(invocation)),
};

/** What hostd is asked for, by the words of a command line. */
export function stageRequest({ arguments: [, image], options }: Invocation): Record<string, unknown> {
  return { channel: options["channel"], image, rate: options["rate"] };
}
