import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION } from "./answer.ts";
import { showApp } from "./show.ts";

export const verb: Verb = {
  name: "unpin",
  summary: "take the pin off a version: retention may collect it",
  arguments: [
    { name: "<app>", summary: "the app" },
    { name: "<image>", summary: "digest or its beginning" },
  ],
  options: [SOCKET_OPTION],
  examples: ["hostd unpin shop 3f9a1c"],
  async run(invocation) {
    const status = await clientOf(invocation).pin(argument(invocation, 0), argument(invocation, 1), undefined);
    return { json: status, text: showApp(status) };
  },
};
