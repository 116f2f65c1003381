import { Failure } from "../../manifests/failure.ts";
import type { Verb } from "../../terminal/verb.ts";
import { answerOf, clientOf, SOCKET_OPTION, text } from "./answer.ts";
import { showChanges, showSteps } from "./show.ts";

export const verb: Verb = {
  name: "changes",
  summary: "operations, newest first; with a number, the steps of one",
  arguments: [{ name: "[app-or-number]", summary: "an app, or an operation" }],
  options: [SOCKET_OPTION, { flags: "--limit <count>", summary: "how many", default: "20" }],
  examples: ["hostd changes", "hostd changes shop", "hostd changes 12"],
  async run(invocation) {
    const which = text(invocation.arguments[0]);
    const client = clientOf(invocation);
    if (which !== undefined && /^\d+$/.test(which)) {
      const operation = await client.operation(Number(which));
      return { json: operation, text: `${answerOf(operation).text}\n\n${showSteps(operation)}` };
    }
    const limit = Number(text(invocation.options["limit"]));
    if (!Number.isInteger(limit) || limit < 1 || limit > 1_000) {
      throw new Failure("usage", "bad-option", `--limit: expected 1 to 1000, got ${invocation.options["limit"]}`);
    }
    const answer = await client.changes({ app: which, limit });
    return { json: answer, text: showChanges(answer.changes) };
  },
};
