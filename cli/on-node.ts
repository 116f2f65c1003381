import { addressOf, problemOf, silentHostd } from "../fleet/nodes/ask.ts";
import { readInventory, selectNodes } from "../fleet/nodes/inventory.ts";
import { drive } from "../fleet/push/drive.ts";
import { withSession } from "../fleet/push/session.ts";
import { answerOf, argument } from "../hostd/verbs/answer.ts";
import { EXIT_CODES, Failure, toFailureDocument } from "../manifests/failure.ts";
import type { Node } from "../manifests/inventory.ts";
import type { Answer, Invocation, OptionSpec, Verb } from "../terminal/verb.ts";
import { fleetOf } from "./fleet-options.ts";
import { stringOption } from "./trust-options.ts";

const ON_OPTION: OptionSpec = {
  flags: "--on <node>",
  summary: "a node of the inventory, over SSH, instead of this one",
};

const ON_NODES_OPTION: OptionSpec = {
  flags: "--on <node...>",
  summary: "nodes and groups of the inventory, over SSH, instead of this one",
};

/** A verb of hostd's as one of ostler's that is also for many nodes: `run` is for those that `--on` names, each once. */
export function acrossNodes(
  verb: Verb,
  about: Pick<Verb, "summary" | "examples">,
  run: (invocation: Invocation, nodes: Node[]) => Promise<Answer>,
): Verb {
  return {
    ...verb,
    ...about,
    options: [...(verb.options ?? []), ON_NODES_OPTION],
    async run(invocation) {
      const { on, socket } = invocation.options;
      if (on === undefined) return await verb.run(invocation);
      if (socket !== undefined) throw clash("--socket", "the inventory knows the node's");
      return await run(
        invocation,
        selectNodes(await readInventory(fleetOf(invocation).inventory), [on].flat().map(String)),
      );
    },
  };
}

/** Does something to nodes in this order; the first that does not end well ends it, and what became of each is told. */
export async function oneAfterTheOther(
  nodes: readonly Node[],
  signal: AbortSignal,
  work: (node: Node) => Promise<Answer>,
): Promise<Answer> {
  const done: { node: string; answer: Answer }[] = [];
  for (const node of nodes) {
    const answer = await work(node).catch((error: unknown) => {
      if (signal.aborted || nodes.length === 1) throw error;
      const failure = toFailureDocument(error);
      return {
        json: { error: failure },
        text: `${node.name}: ${problemOf(error)}`,
        exitCode: EXIT_CODES[failure.outcome],
      };
    });
    done.push({ node: node.name, answer });
    if ((answer.exitCode ?? EXIT_CODES.ok) !== EXIT_CODES.ok) break;
  }
  const left = nodes.slice(done.length).map(({ name }) => name);
  const json = done.map(({ node, answer }) => ({ node, ...(answer.json as object) }));
  return {
    json: { schema: 1, nodes: json, left },
    text: [
      ...done.map(({ answer }) => answer.text),
      ...(left.length === 0 ? [] : [`not begun: ${left.join(", ")}`]),
    ].join("\n"),
    exitCode: done.at(-1)?.answer.exitCode ?? EXIT_CODES.ok,
  };
}

/** A question of hostd's as one of ostler's: of this machine, or of a node of the inventory. */
export function askedOnNode(verb: Verb, examples: readonly string[]): Verb {
  return withNode(verb, examples, (invocation, node) => {
    if (invocation.options["follow"] === true) {
      throw clash("--follow", `ssh -t ${node.destination} hostd ${verb.name} ... --follow notices where the node goes`);
    }
    return withSession(addressOf(node), { signal: invocation.signal }, ({ socket }) =>
      verb.run({ ...invocation, options: { ...invocation.options, socket } }),
    );
  });
}

/** A verb of hostd's that begins an operation; on a node it is followed over new connections, also across its reboot. */
export function begunOnNode(
  verb: Verb,
  examples: readonly string[],
  bodyOf: (invocation: Invocation) => Record<string, unknown>,
): Verb {
  return withNode(verb, examples, async (invocation, node) => {
    const { options, progress, signal } = invocation;
    if (options["wait"] === false) throw clash("--no-wait", "it is followed until Ctrl-C, and goes on after that");
    const requestId = stringOption(options, "requestId");
    const { confirmWithin, ...body } = bodyOf(invocation);
    const last = await drive({
      node: addressOf(node),
      app: argument(invocation, 0),
      verb: verb.name,
      body: { ...body, ...(requestId === undefined ? {} : { requestId }) },
      confirmWithin: confirmWithin === undefined ? undefined : wholeSeconds(confirmWithin),
      progress,
      signal,
    });
    const answer = answerOf(last);
    if (last.finished !== undefined) return answer;
    const text = `${answer.text}\n  it goes on: ostler history --on ${node.name} shows its end`;
    return { ...answer, text, exitCode: EXIT_CODES.left };
  });
}

function withNode(
  verb: Verb,
  examples: readonly string[],
  run: (invocation: Invocation, node: Node) => Promise<Answer>,
): Verb {
  return {
    ...verb,
    examples,
    options: [...(verb.options ?? []), ON_OPTION],
    async run(invocation) {
      const name = stringOption(invocation.options, "on");
      if (name === undefined) return await verb.run(invocation);
      if (invocation.options["socket"] !== undefined) throw clash("--socket", "the inventory knows the node's");
      const node = await nodeCalled(invocation, name);
      const hint = `ssh ${node.destination} systemctl status hostd; what it was asked for as it went is in ostler history --on ${node.name}`;
      return await run(invocation, node).catch(silentHostd(node.name, hint));
    },
  };
}

async function nodeCalled(invocation: Invocation, name: string): Promise<Node> {
  const inventory = await readInventory(fleetOf(invocation).inventory);
  const [node] = selectNodes(inventory, [name]);
  if (node?.name === name) return node;
  throw new Failure("usage", "bad-option", `--on: expected one node, got the group ${name}`, {
    hint: "ostler node list shows which nodes are in it",
  });
}

function wholeSeconds(given: unknown): number {
  const seconds = Number(given);
  if (Number.isInteger(seconds) && seconds >= 1) return seconds;
  throw new Failure("usage", "bad-option", `--confirm-within: expected whole seconds, got ${given}`);
}

export function clash(option: string, why: string): Failure {
  return new Failure("usage", "bad-option", `${option} and --on: expected one of them`, { hint: why });
}
