import type { Verb } from "../../terminal/verb.ts";
import { argument, OPERATION_OPTIONS, operate, UPGRADE_OPTIONS, upgradeOf } from "./answer.ts";

export const verb: Verb = {
  name: "rollback",
  summary: "go back to a version on this node: its binaries alone, unless data or config are asked for too",
  arguments: [{ name: "<app>", summary: "the app" }],
  options: [
    {
      flags: "--to <generation>",
      summary: "generation number, digest, or current (default: the last good one before, or whose data it is)",
    },
    { flags: "--with-data <snapshot>", summary: "take the data back to this snapshot; what it is now is kept as one" },
    { flags: "--with-config", summary: "take the config back to that generation's too" },
    ...UPGRADE_OPTIONS,
    ...OPERATION_OPTIONS,
  ],
  examples: [
    "hostd rollback shop",
    "hostd rollback shop --to 3 --with-data before-g4",
    "hostd rollback shop --to current --with-config",
  ],
  run: (invocation) =>
    operate(invocation, argument(invocation, 0), "rollback", {
      to: invocation.options["to"],
      withData: invocation.options["withData"],
      withConfig: invocation.options["withConfig"],
      ...upgradeOf(invocation),
    }),
};
