import { clientOf, SOCKET_OPTION, text } from "../hostd/verbs/answer.ts";
import { showChanges } from "../hostd/verbs/show.ts";
import { Failure } from "../manifests/failure.ts";
import type { Verb } from "../terminal/verb.ts";
import { askedOnNode } from "./on-node.ts";

const nodeVerb: Verb = {
  name: "history",
  summary: "who changed what on a node, when, how it ended and why",
  arguments: [{ name: "[app]", summary: "one app alone" }],
  options: [SOCKET_OPTION, { flags: "--limit <count>", summary: "how many", default: "50" }],
  async run(invocation) {
    const limit = Number(text(invocation.options["limit"]));
    if (!Number.isInteger(limit) || limit < 1 || limit > 1_000) {
      throw new Failure("usage", "bad-option", `--limit: expected 1 to 1000, got ${invocation.options["limit"]}`);
    }
    const answer = await clientOf(invocation).changes({ app: text(invocation.arguments[0]), limit });
    return { json: answer, text: showChanges(answer.changes) };
  },
};

export const verb = askedOnNode(nodeVerb, [
  "ostler history",
  "ostler history shop --json",
  "ostler history --on web-1",
]);
