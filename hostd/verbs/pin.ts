import { Failure } from "../../manifests/failure.ts";
import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION, text } from "./answer.ts";
import { showApp } from "./show.ts";

export const verb: Verb = {
  name: "pin",
  summary: "keep a version whatever retention says, until hostd unpin",
  arguments: [
    { name: "<app>", summary: "the app" },
    { name: "<image>", summary: "digest or its beginning" },
  ],
  options: [SOCKET_OPTION, { flags: "--reason <text>", summary: "why it is kept" }],
  examples: ['hostd pin shop 3f9a1c --reason "last one before the new payment service"'],
  async run(invocation) {
    const reason = text(invocation.options["reason"]);
    if (reason === undefined) {
      throw new Failure(
        "usage",
        "bad-option",
        "expected --reason: whoever finds the pin wants to know what it is for",
        {
          hint: "hostd unpin takes a pin off",
        },
      );
    }
    const status = await clientOf(invocation).pin(argument(invocation, 0), argument(invocation, 1), reason);
    return { json: status, text: showApp(status) };
  },
};
