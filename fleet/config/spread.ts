import { checkLayer } from "../../hostd/config/layers.ts";
import { readLayer } from "../../hostd/config/read.ts";
import type { NodeConfig } from "../../manifests/config.ts";
import type { Node } from "../../manifests/inventory.ts";
import { FleetError } from "../error.ts";
import { askNode, eachOf, problemOf } from "../nodes/ask.ts";

/** Nodes that are asked at a time. */
const PARALLEL = 16;

export interface LayerText {
  layer: string;
  /** What it is called in errors and in each node's history. */
  file: string;
  text: string;
}

/** What a node has since; `problem` where it did not take it. */
export type Spread = { node: Node } & ({ config: NodeConfig } | { problem: string });

/**
 * Sets a layer of many nodes' config to the same text. It is read here first, and every node has to answer before the first
 * is changed (`node-unreachable`), so that a change reaches all of them or none; one that goes away in between is told, and
 * the same once more sets what is missing. Nothing that runs changes.
 */
export async function spreadLayer(nodes: readonly Node[], layer: LayerText, signal: AbortSignal): Promise<Spread[]> {
  checkLayer(layer.layer);
  readLayer(layer.file, layer.text);
  const silent = new Map<Node, string>();
  await eachOf(nodes, PARALLEL, async (node) => {
    await askNode(node, signal, (client) => client.config()).catch((error: unknown) =>
      silent.set(node, problemOf(error)),
    );
  });
  if (silent.size > 0) {
    const told = [...silent].map(([{ name }, why]) => `${name}: ${why}`);
    throw new FleetError("node-unreachable", `nothing was set on any node: ${told.sort().join("; ")}`, {
      hint: "mend them, or name the others",
    });
  }
  const answers = new Map<Node, Spread>();
  await eachOf(nodes, PARALLEL, async (node) => {
    const answer = await askNode(node, signal, (client) => client.setLayer(layer.layer, layer.file, layer.text)).then(
      (config) => ({ node, config }),
      (error: unknown) => ({ node, problem: problemOf(error) }),
    );
    answers.set(node, answer);
  });
  return nodes.map((node) => answers.get(node) ?? { node, problem: "not asked" });
}
