import { afterAll, beforeAll } from "vitest";
import { type LabNode, startLabNode } from "./start-node.ts";

/** One node for all tests of a file: started before the first, removed with all it holds after the last. */
export function useLabNode(): () => LabNode {
  let node: (LabNode & { remove(): Promise<void> }) | undefined;
  beforeAll(async () => {
    node = await startLabNode();
  });
  afterAll(() => node?.remove());
  return () => {
    if (node === undefined) throw new Error("expected a node that was started");
    return node;
  };
}
