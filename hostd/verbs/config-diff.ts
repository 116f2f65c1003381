import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION, text } from "./answer.ts";
import { showDiff } from "./show-config.ts";

export const verb: Verb = {
  name: "config diff",
  summary: "what a switch would change in an app's files, and how the app would learn of it; changes nothing",
  arguments: [
    { name: "<app>", summary: "the app" },
    { name: "[image]", summary: "digest of a staged version, or its beginning (default: config alone changes)" },
  ],
  options: [SOCKET_OPTION],
  examples: ["hostd config diff shop", "hostd config diff shop 3f9a1c"],
  async run(invocation) {
    const diff = await clientOf(invocation).configDiff(argument(invocation, 0), text(invocation.arguments[1]));
    return { json: diff, text: showDiff(diff) };
  },
};
