import type { Verb } from "../../terminal/verb.ts";
import { argument, OPERATION_OPTIONS, operate, text } from "./answer.ts";

export const verb: Verb = {
  name: "stop",
  summary: "stop an app and keep it stopped, also over a reboot; its data, versions and sockets are kept",
  arguments: [{ name: "<app>", summary: "the app" }],
  options: [...OPERATION_OPTIONS, { flags: "--reason <text>", summary: "why, for whoever finds it stopped" }],
  examples: ['hostd stop shop --reason "its disk moves tonight"'],
  run(invocation) {
    const reason = text(invocation.options["reason"]);
    return operate(invocation, argument(invocation, 0), "stop", reason === undefined ? {} : { reason });
  },
};
