import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION } from "./answer.ts";
import { showApp } from "./show.ts";

export const verb: Verb = {
  name: "unhold",
  summary: "lift a hold of updates",
  arguments: [{ name: "<app>", summary: "the app, or the host" }],
  options: [SOCKET_OPTION],
  examples: ["hostd unhold shop"],
  async run(invocation) {
    const status = await clientOf(invocation).unhold(argument(invocation, 0));
    return { json: status, text: showApp(status) };
  },
};
