import { expect, test } from "vitest";
import { assignWaves } from "../../../../fleet/rollout/waves.ts";
import { inventoryExample, type Node } from "../../../../manifests/inventory.ts";
import type { Wave } from "../../../../manifests/rollout.ts";

const [example] = inventoryExample.nodes;

function nodesOf(count: number, groups: (index: number) => string[] = () => []): Node[] {
  if (example === undefined) throw new Error("expected an example");
  return Array.from({ length: count }, (_, index) => ({ ...example, name: `n-${index}`, groups: groups(index) }));
}

function sizesOf(shares: Wave["nodes"][], nodes: Node[]): number[] {
  const assigned = assignWaves({ waves: shares.map((share) => ({ nodes: share, tolerate: 0 })) }, nodes);
  return shares.map((_, wave) => assigned.filter((node) => node.wave === wave).length);
}

test("a number takes so many, a part so many of all and at least one, rest what is left", () => {
  expect(sizesOf([1, "10%", "50%", "rest"], nodesOf(25))).toEqual([1, 3, 13, 8]);
  expect(sizesOf(["10%", "rest"], nodesOf(1))).toEqual([1, 0]);
  expect(sizesOf(["100%", "rest"], nodesOf(7))).toEqual([7, 0]);
  expect(sizesOf([5], nodesOf(3))).toEqual([3]);
});

test("a group takes its own nodes that no wave has yet, and one that is not there is refused", () => {
  const nodes = nodesOf(4, (index) => (index % 2 === 0 ? ["canary"] : []));
  expect(sizesOf([1, "canary", "rest"], nodes)).toEqual([1, 1, 2]);
  expect(() => sizesOf(["canery"], nodes)).toThrow(
    "wave 1: expected nodes of group canery in this rollout, found none",
  );
});

test("nodes that no wave takes are told as such", () => {
  expect(assignWaves({ waves: [{ nodes: 1, tolerate: 0 }] }, nodesOf(2)).map(({ wave }) => wave)).toEqual([
    0,
    undefined,
  ]);
});
