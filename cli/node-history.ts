import { readInventory, requireNode } from "../fleet/nodes/inventory.ts";
import { listRollouts } from "../fleet/rollout/store.ts";
import { argument } from "../hostd/verbs/answer.ts";
import { table } from "../terminal/table.ts";
import type { Verb } from "../terminal/verb.ts";
import { fleetOf } from "./fleet-options.ts";

export const verb: Verb = {
  name: "node history",
  summary: "the rollouts that a node was in, under whatever name",
  arguments: [{ name: "<node>", summary: "its name" }],
  examples: ["ostler node history web-1"],
  async run(invocation) {
    const { inventory, rollouts } = fleetOf(invocation);
    const { key } = requireNode(await readInventory(inventory), argument(invocation, 0));
    const found = (await listRollouts(rollouts)).rollouts.flatMap(({ id, release, started, nodes }) =>
      nodes
        .filter((node) => node.key === key)
        .map(({ name, state, message }) => ({ rollout: id, version: release.version, started, name, state, message })),
    );
    const rows = found.map(({ rollout, version, started, name, state, message = "" }) => [
      ...[rollout, version, started, name, state, message],
    ]);
    return {
      json: { schema: 1, key, rollouts: found },
      text:
        rows.length === 0 ? "no rollouts yet" : table(["ROLLOUT", "VERSION", "STARTED", "AS", "STATE", "WHY"], rows),
    };
  },
};
