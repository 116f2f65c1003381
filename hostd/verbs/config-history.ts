import type { Verb } from "../../terminal/verb.ts";
import { clientOf, SOCKET_OPTION, text } from "./answer.ts";
import { showHistory } from "./show-config.ts";

export const verb: Verb = {
  name: "config history",
  summary: "every change of a layer or a secret: when, by whom, which revision it made",
  arguments: [{ name: "[subject]", summary: "one layer or secret (default: all)" }],
  options: [SOCKET_OPTION],
  examples: ["hostd config history", "hostd config history site"],
  async run(invocation) {
    const history = await clientOf(invocation).configHistory({ subject: text(invocation.arguments[0]) });
    return { json: history, text: showHistory(history) };
  },
};
