import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION, text } from "./answer.ts";

export const verb: Verb = {
  name: "logs",
  summary: "the end of an app's log",
  arguments: [{ name: "<app>", summary: "the app" }],
  options: [SOCKET_OPTION, { flags: "--generation <number>", summary: "of an earlier generation" }],
  async run(invocation) {
    const app = argument(invocation, 0);
    const log = await clientOf(invocation).logs(app, text(invocation.options["generation"]));
    return { json: { app, log }, text: log };
  },
};
