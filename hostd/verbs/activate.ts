import type { Verb } from "../../terminal/verb.ts";
import { argument, OPERATION_OPTIONS, operate, UPGRADE_OPTIONS, upgradeOf } from "./answer.ts";

export const verb: Verb = {
  name: "activate",
  summary: "switch to a staged version, judge it, commit it or take it back",
  arguments: [
    { name: "<app>", summary: "the app" },
    { name: "[image]", summary: "digest or its beginning (default: the newest version that may run)" },
  ],
  options: [...UPGRADE_OPTIONS, ...OPERATION_OPTIONS],
  examples: ["hostd activate shop", "hostd activate shop 3f9a1c", "hostd activate host --confirm-within 120"],
  run: (invocation) =>
    operate(invocation, argument(invocation, 0), "activate", {
      image: invocation.arguments[1],
      ...upgradeOf(invocation),
    }),
};
