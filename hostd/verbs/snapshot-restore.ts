import type { Verb } from "../../terminal/verb.ts";
import { CURRENT } from "../rollback/plan.ts";
import { argument, OPERATION_OPTIONS, operate } from "./answer.ts";

export const verb: Verb = {
  name: "snapshot restore",
  summary: "take the data alone back to a snapshot: the version that runs stays, the data it leaves is kept as one",
  arguments: [
    { name: "<app>", summary: "the app" },
    { name: "<snapshot>", summary: "its name in `hostd snapshot list`" },
  ],
  options: OPERATION_OPTIONS,
  examples: ["hostd snapshot restore shop before-g4"],
  run: (invocation) =>
    operate(invocation, argument(invocation, 0), "rollback", { to: CURRENT, withData: argument(invocation, 1) }),
};
