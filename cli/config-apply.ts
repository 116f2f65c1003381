import { addressOf, problemOf } from "../fleet/nodes/ask.ts";
import { withSession } from "../fleet/push/session.ts";
import { verb as nodeVerb } from "../hostd/verbs/config-apply.ts";
import { EXIT_CODES, Failure } from "../manifests/failure.ts";
import type { Answer, Verb } from "../terminal/verb.ts";
import { clash, nodesOn, ON_NODES_OPTION } from "./on-node.ts";

export const verb: Verb = {
  ...nodeVerb,
  summary:
    "switch to the config that the layers say, here or on one node after the other; the first that does not take it ends that",
  options: [...(nodeVerb.options ?? []), ON_NODES_OPTION],
  examples: ["ostler config apply", "ostler config apply shop --on canary web"],
  async run(invocation) {
    const nodes = await nodesOn(invocation);
    if (nodes === undefined) return await nodeVerb.run(invocation);
    const { options, signal } = invocation;
    if (options["wait"] === false) throw clash("--no-wait", "each node is followed before the next one begins");
    if (options["revision"] !== undefined) throw clash("--revision", "a revision is one node's own number");
    const done: { node: string; answer: Answer }[] = [];
    for (const node of nodes) {
      const answer = await withSession(addressOf(node), { signal }, ({ socket }) =>
        nodeVerb.run({ ...invocation, options: { ...options, socket } }),
      ).catch(unreached);
      done.push({ node: node.name, answer });
      if (answer.exitCode !== 0) break;
    }
    const left = nodes.slice(done.length).map(({ name }) => name);
    return {
      json: { schema: 1, nodes: done.map(({ node, answer }) => ({ node, applied: answer.json })), left },
      text: [
        ...done.map(({ node, answer }) => `${node}: ${answer.text}`),
        ...(left.length === 0 ? [] : [`not begun: ${left.join(", ")}`]),
      ].join("\n"),
      exitCode: done.at(-1)?.answer.exitCode ?? 0,
    };
  },
};

/** One that cannot be asked ends it as one does that does not take it: what became of those before is told. */
function unreached(error: unknown): Answer {
  if (error instanceof Failure && error.code === "left") throw error;
  const problem = problemOf(error);
  return { json: { problem }, text: problem, exitCode: EXIT_CODES.failed };
}
