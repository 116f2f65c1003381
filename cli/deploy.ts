import { argument, OPERATION_OPTIONS, operate, UPGRADE_OPTIONS, upgradeOf } from "../hostd/verbs/answer.ts";
import type { Verb } from "../terminal/verb.ts";

export const verb: Verb = {
  name: "deploy",
  summary: "have a node stage a channel's release, switch to it, judge it, and commit it or take it back",
  arguments: [{ name: "<app>", summary: "the product to deploy" }],
  options: [
    { flags: "--channel <name>", summary: "another channel than the node's own" },
    ...UPGRADE_OPTIONS,
    ...OPERATION_OPTIONS,
  ],
  examples: ["ostler deploy shop", "ostler deploy shop --channel staging --socket /run/hostd/hostd.sock"],
  run: (invocation) =>
    operate(invocation, argument(invocation, 0), "deploy", {
      channel: invocation.options["channel"],
      ...upgradeOf(invocation),
    }),
};
