import { changeInventory, checkNames, renameNode } from "../fleet/nodes/inventory.ts";
import { argument } from "../hostd/verbs/answer.ts";
import type { Verb } from "../terminal/verb.ts";
import { fleetOf } from "./fleet-options.ts";

export const verb: Verb = {
  name: "node rename",
  summary: "call a node something else; what it went through stays with its host key",
  arguments: [
    { name: "<node>", summary: "its name" },
    { name: "<name>", summary: "its next one" },
  ],
  examples: ["ostler node rename web-1 web-berlin-1"],
  async run(invocation) {
    const [name, to] = [argument(invocation, 0), argument(invocation, 1)];
    checkNames([to]);
    await changeInventory(fleetOf(invocation).inventory, (inventory) => renameNode(inventory, name, to));
    return { json: { schema: 1, name, to }, text: `${name} is called ${to}` };
  },
};
