import { changeInventory, removeNode } from "../fleet/nodes/inventory.ts";
import { argument } from "../hostd/verbs/answer.ts";
import type { Verb } from "../terminal/verb.ts";
import { fleetOf } from "./fleet-options.ts";

export const verb: Verb = {
  name: "node remove",
  summary: "forget a node here; nothing on it changes",
  arguments: [{ name: "<node>", summary: "its name" }],
  examples: ["ostler node remove web-1"],
  async run(invocation) {
    const name = argument(invocation, 0);
    await changeInventory(fleetOf(invocation).inventory, (inventory) => removeNode(inventory, name));
    return { json: { schema: 1, name }, text: `${name} is forgotten` };
  },
};
