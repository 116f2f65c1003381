import { changeInventory, checkNames, groupNode } from "../fleet/nodes/inventory.ts";
import { argument } from "../hostd/verbs/answer.ts";
import type { Verb } from "../terminal/verb.ts";
import { fleetOf } from "./fleet-options.ts";

export const verb: Verb = {
  name: "node group",
  summary: "say which groups a node is in, in place of those it was in",
  arguments: [
    { name: "<node>", summary: "its name" },
    { name: "[group...]", summary: "its groups; without one it is in none" },
  ],
  examples: ["ostler node group web-1 web canary"],
  async run(invocation) {
    const name = argument(invocation, 0);
    const groups = [...new Set([invocation.arguments[1] ?? []].flat())];
    checkNames(groups);
    await changeInventory(fleetOf(invocation).inventory, (inventory) => groupNode(inventory, name, groups));
    return { json: { schema: 1, name, groups }, text: `${name} is in ${groups.join(", ") || "no group"}` };
  },
};
