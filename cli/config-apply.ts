import { addressOf, askNode } from "../fleet/nodes/ask.ts";
import { drive } from "../fleet/push/drive.ts";
import { answerOf, text } from "../hostd/verbs/answer.ts";
import { appsToApply, verb as nodeVerb } from "../hostd/verbs/config-apply.ts";
import type { Node } from "../manifests/inventory.ts";
import type { Answer, Invocation } from "../terminal/verb.ts";
import { acrossNodes, clash, oneAfterTheOther } from "./on-node.ts";

const about = {
  summary:
    "switch to the config that the layers say, here or on one node after the other; the first that does not take it ends that",
  examples: ["ostler config apply", "ostler config apply shop --on canary web"],
};

export const verb = acrossNodes(nodeVerb, about, async (invocation, nodes) => {
  const { options, signal } = invocation;
  if (options["wait"] === false) throw clash("--no-wait", "each node is followed before the next one begins");
  if (options["revision"] !== undefined) throw clash("--revision", "a revision is one node's own number");
  if (options["requestId"] !== undefined) throw clash("--request-id", "an id names one operation of one node");
  return await oneAfterTheOther(nodes, signal, (node) => applyOn(node, invocation));
});

/** One app after the other, each followed over new connections where one ends. */
async function applyOn(node: Node, { arguments: [only], progress, signal }: Invocation): Promise<Answer> {
  const { revision, apps } = await askNode(node, signal, (client) => client.config());
  const app = text(only);
  const answers: Answer[] = [];
  for (const one of app === undefined ? appsToApply(apps) : [app]) {
    const asked = { node: addressOf(node), app: one, verb: "configure", body: { revision } };
    answers.push(answerOf(await drive({ ...asked, confirmWithin: undefined, progress, signal })));
  }
  return {
    json: { revision, operations: answers.map(({ json }) => json) },
    text: `${node.name}: ${answers.map((one) => one.text).join("\n") || "every app runs with what is declared"}`,
    exitCode: Math.max(0, ...answers.map(({ exitCode }) => exitCode ?? 0)),
  };
}
