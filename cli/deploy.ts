import { argument, OPERATION_OPTIONS, operate, UPGRADE_OPTIONS, upgradeOf } from "../hostd/verbs/answer.ts";
import type { Invocation, Verb } from "../terminal/verb.ts";
import { begunOnNode } from "./on-node.ts";

const request = (invocation: Invocation) => ({ channel: invocation.options["channel"], ...upgradeOf(invocation) });

const nodeVerb: Verb = {
  name: "deploy",
  summary: "have a node stage a channel's release, switch to it, judge it, and commit it or take it back",
  arguments: [{ name: "<app>", summary: "the product to deploy" }],
  options: [
    { flags: "--channel <name>", summary: "another channel than the node's own" },
    ...UPGRADE_OPTIONS,
    ...OPERATION_OPTIONS,
  ],
  run: (invocation) => operate(invocation, argument(invocation, 0), "deploy", request(invocation)),
};

export const verb = begunOnNode(
  nodeVerb,
  ["ostler deploy shop", "ostler deploy shop --channel staging", "ostler deploy shop --on web-1"],
  request,
);
