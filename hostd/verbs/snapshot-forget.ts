import type { Verb } from "../../terminal/verb.ts";
import { argument, OPERATION_OPTIONS, operate } from "./answer.ts";

export const verb: Verb = {
  name: "snapshot forget",
  summary: "delete a snapshot; refused where a rollback or a pinned version may need it",
  arguments: [
    { name: "<app>", summary: "the app" },
    { name: "<snapshot>", summary: "its name in `hostd snapshot list`" },
  ],
  options: [...OPERATION_OPTIONS, { flags: "--force", summary: "also one that is kept for a reason" }],
  examples: ["hostd snapshot forget shop before-g4"],
  run: (invocation) =>
    operate(invocation, argument(invocation, 0), "forget", {
      snapshots: [argument(invocation, 1)],
      force: invocation.options["force"] === true,
    }),
};
