import { type Answered, askAll } from "../fleet/nodes/ask.ts";
import { readInventory, selectNodes } from "../fleet/nodes/inventory.ts";
import { shortDigest } from "../manifests/digest.ts";
import { EXIT_CODES } from "../manifests/failure.ts";
import type { AppStatus } from "../manifests/node.ts";
import { table } from "../terminal/table.ts";
import type { Verb } from "../terminal/verb.ts";
import { fleetOf } from "./fleet-options.ts";

/** Nodes that are asked at a time. */
const PARALLEL = 16;

export const verb: Verb = {
  name: "node list",
  summary:
    "ask nodes what they run, what is staged and what they would go back to; exit code 1 where one does not answer",
  arguments: [{ name: "[node...]", summary: "nodes and groups; all without" }],
  examples: ["ostler node list", "ostler node list web --json"],
  async run(invocation) {
    const [words] = invocation.arguments;
    const inventory = await readInventory(fleetOf(invocation).inventory);
    if (inventory.nodes.length === 0) return { json: { schema: 1, nodes: [] }, text: "no nodes: ostler node add" };
    const nodes = selectNodes(inventory, Array.isArray(words) && words.length > 0 ? words : ["all"]);
    const answers = await askAll(nodes, PARALLEL, invocation.signal);
    return {
      json: { schema: 1, nodes: answers.map(toDocument) },
      text: table(["NODE", "GROUPS", "HOSTD", "APP", "CURRENT", "STAGED", "PREVIOUS", "HEALTH"], answers.flatMap(rows)),
      exitCode: answers.every((answer) => "status" in answer) ? EXIT_CODES.ok : EXIT_CODES.failed,
    };
  },
};

function toDocument(answer: Answered) {
  if ("problem" in answer) return { ...answer.node, problem: answer.problem };
  return {
    ...answer.node,
    hostd: answer.status.hostd.version,
    apps: answer.status.apps.map((app) => ({ app: app.app, health: app.health, ...versionsOf(app) })),
  };
}

function rows(answer: Answered): string[][] {
  const { name, groups } = answer.node;
  if ("problem" in answer) return [[name, groups.join(" "), "", "", "", "", "", `not asked: ${answer.problem}`]];
  const { apps, hostd } = answer.status;
  const head = [name, groups.join(" "), hostd.version];
  if (apps.length === 0) return [[...head, "none", "", "", "", ""]];
  return apps.map((app, index) => {
    const { current, staged, previous } = versionsOf(app);
    const shown = [current, staged, previous].map((one) =>
      one === undefined ? "" : `${one.version} ${shortDigest(one.image)}`,
    );
    return [...(index === 0 ? head : ["", "", ""]), app.app, ...shown, healthOf(app)];
  });
}

function healthOf({ hold, health, hindered, updatesHeld }: AppStatus): string {
  const why = hold ?? hindered;
  return [
    why === undefined ? health : `${health}: ${why}`,
    ...(updatesHeld === undefined ? [] : [`updates held: ${updatesHeld.reason}`]),
  ].join("; ");
}

/** What it runs, what is newer and ready to be switched to, and what a rollback leads to. */
function versionsOf({ current, slots, rollbackTarget }: AppStatus) {
  const running = slots.find(({ image }) => image === current?.image);
  const [staged] = slots
    .filter(
      ({ state, quarantined, sequence }) =>
        state === "staged" && quarantined === undefined && sequence > (running?.sequence ?? 0),
    )
    .sort((one, other) => other.sequence - one.sequence);
  const version = (one: { version: string; image: (typeof slots)[number]["image"] } | undefined) =>
    one === undefined ? undefined : { version: one.version, image: one.image };
  return { current: version(current), staged: version(staged), previous: version(rollbackTarget) };
}
