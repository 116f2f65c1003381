import type { Verb } from "../../terminal/verb.ts";
import { answerAtEnd, answerOf, clientOf, SOCKET_OPTION } from "./answer.ts";

export const verb: Verb = {
  name: "confirm",
  summary: "say that the host's new system can be reached; without it, an upgrade that asked for it is taken back",
  options: [SOCKET_OPTION, { flags: "--no-wait", summary: "do not wait for the end of the upgrade" }],
  examples: ["ssh node hostd confirm"],
  async run(invocation) {
    const client = clientOf(invocation);
    const confirmed = await client.confirm();
    if (invocation.options["wait"] === false) return answerOf(confirmed);
    return await answerAtEnd(client, confirmed, invocation);
  },
};
