import { EXIT_CODES } from "../../manifests/failure.ts";
import type { Verb } from "../../terminal/verb.ts";
import { answerOf, argument, clientOf, follow, operationNumber, SOCKET_OPTION } from "./answer.ts";

export const verb: Verb = {
  name: "abort",
  summary: "end an operation under way: what it did is undone",
  arguments: [{ name: "<operation>", summary: "its number, as hostd changes shows it" }],
  options: [SOCKET_OPTION],
  examples: ["hostd abort 12"],
  async run(invocation) {
    const id = operationNumber(argument(invocation, 0));
    const client = clientOf(invocation);
    const ended = await follow(client, await client.abort(id), invocation);
    const isEnded = ended.finished === undefined || ended.reason?.code === "aborted";
    return { ...answerOf(ended), exitCode: isEnded ? EXIT_CODES.ok : EXIT_CODES.failed };
  },
};
