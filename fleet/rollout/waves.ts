import type { Node } from "../../manifests/inventory.ts";
import type { RolloutFile, RolloutNode, Wave } from "../../manifests/rollout.ts";
import { FleetError } from "../error.ts";

/**
 * Which wave each node is in, in the order of the nodes: a number takes so many, a part so many of all (upwards, at
 * least one), a group its own, `rest` what is left. Fixed when a rollout begins, however the inventory changes later.
 */
export function assignWaves({ waves }: Pick<RolloutFile, "waves">, nodes: readonly Node[]): RolloutNode[] {
  const waveOf = new Map<Node, number>();
  for (const [index, { nodes: share }] of waves.entries()) {
    const left = nodes.filter((node) => !waveOf.has(node));
    for (const node of takeShare(share, left, nodes, index)) waveOf.set(node, index);
  }
  return nodes.map((node) => {
    const wave = waveOf.get(node);
    return { name: node.name, key: node.key, ...(wave === undefined ? {} : { wave }), state: "waiting" };
  });
}

function takeShare(share: Wave["nodes"], left: readonly Node[], all: readonly Node[], index: number): readonly Node[] {
  if (share === "rest") return left;
  if (typeof share === "number") return left.slice(0, share);
  if (share.endsWith("%")) return left.slice(0, Math.ceil((all.length * Number(share.slice(0, -1))) / 100));
  if (all.some(({ groups }) => groups.includes(share))) return left.filter(({ groups }) => groups.includes(share));
  throw new FleetError(
    "unknown-node",
    `wave ${index + 1}: expected nodes of group ${share} in this rollout, found none`,
    {
      hint: "ostler node list shows which groups there are",
    },
  );
}
