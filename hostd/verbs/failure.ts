import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, operationNumber, SOCKET_OPTION } from "./answer.ts";

export const verb: Verb = {
  name: "failure",
  summary: "what was kept of a failed operation: log, check results, how its processes ended",
  arguments: [{ name: "<operation>", summary: "its number, as hostd changes shows it" }],
  options: [SOCKET_OPTION],
  examples: ["hostd failure 12"],
  async run(invocation) {
    const id = operationNumber(argument(invocation, 0));
    const bundle = await clientOf(invocation).failure(id);
    return { json: bundle, text: JSON.stringify(bundle, undefined, 2) };
  },
};
