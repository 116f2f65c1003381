import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION, text } from "./answer.ts";
import { showApp } from "./show.ts";

export const verb: Verb = {
  name: "pin",
  summary: "keep a version whatever retention says; without --reason the pin is taken off",
  arguments: [
    { name: "<app>", summary: "the app" },
    { name: "<image>", summary: "digest or its beginning" },
  ],
  options: [SOCKET_OPTION, { flags: "--reason <text>", summary: "why it is kept" }],
  examples: ['hostd pin shop 3f9a1c --reason "last one before the new payment service"'],
  async run(invocation) {
    const reason = text(invocation.options["reason"]);
    const status = await clientOf(invocation).pin(argument(invocation, 0), argument(invocation, 1), reason);
    return { json: status, text: showApp(status) };
  },
};
