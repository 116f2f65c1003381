import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION } from "./answer.ts";
import { driftLines } from "./show-config.ts";

export const verb: Verb = {
  name: "secret forget",
  summary: "forget a secret; its value is deleted once no version on this node was made while it was set",
  arguments: [{ name: "<name>", summary: "NAME or APP/NAME" }],
  options: [SOCKET_OPTION],
  async run(invocation) {
    const config = await clientOf(invocation).forgetSecret(argument(invocation, 0));
    return { json: config, text: [`forgotten: revision ${config.revision}`, ...driftLines(config)].join("\n") };
  },
};
