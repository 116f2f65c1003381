import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type * as z from "zod";
import { writeDurably } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import { withLock } from "../../effects/lock.ts";
import {
  fleetNameSchema,
  type Inventory,
  inventorySchema,
  type Node,
  nodeSchema,
  parseInventory,
} from "../../manifests/inventory.ts";
import { nearest } from "../../terminal/nearest.ts";
import { FleetError } from "../error.ts";

// Which nodes there are. The host key says which machine a node is: a key is there once, and what a node went through is
// kept under it, whatever it is called.

const EMPTY: Inventory = { schema: 1, nodes: [] };

/** The inventory in `file`; empty where there is none yet. */
export async function readInventory(file: string): Promise<Inventory> {
  const bytes = await unlessMissing(readFile(file));
  if (bytes === undefined) return EMPTY;
  try {
    return parseInventory(bytes, file);
  } catch (cause) {
    throw new FleetError("inventory", (cause as Error).message, {
      hint: `put ${file} in order, or back from a copy`,
      cause,
    });
  }
}

/** Changes it, one command at a time, and answers what it is then. */
export async function changeInventory(file: string, change: (inventory: Inventory) => Inventory): Promise<Inventory> {
  await mkdir(dirname(file), { recursive: true });
  return await withLock(file, async () => {
    const changed = checked(change(await readInventory(file)), inventorySchema);
    refuseTwofold(changed);
    await writeDurably(file, `${JSON.stringify(changed, undefined, 2)}\n`);
    return changed;
  });
}

/** Refuses a name and a host key that are there already; a node that is there just so changes nothing. */
export function addNode({ nodes, ...rest }: Inventory, given: unknown): Inventory {
  const node = checked(given, nodeSchema);
  const same = nodes.find(({ key }) => key === node.key);
  if (isDeepStrictEqual(same, node)) return { ...rest, nodes };
  if (same !== undefined) {
    throw new FleetError("node-known", `${node.destination}: its host key ${node.key} is that of ${same.name}`, {
      hint:
        same.name === node.name
          ? `where its address is another one now: ostler node remove ${same.name}, then add it; its groups: ostler node group`
          : `ostler node rename ${same.name} ${node.name} gives it another name; a machine that was cloned needs a host key ` +
            "of its own: ssh-keygen -A",
    });
  }
  refuseTaken(nodes, node.name);
  return { ...rest, nodes: [...nodes, node] };
}

export function renameNode(inventory: Inventory, name: string, to: string): Inventory {
  requireNode(inventory, name);
  if (name !== to) refuseTaken(inventory.nodes, to);
  return changeNode(inventory, name, { name: to });
}

export function groupNode(inventory: Inventory, name: string, groups: readonly string[]): Inventory {
  requireNode(inventory, name);
  return changeNode(inventory, name, { groups: [...new Set(groups)] });
}

export function removeNode(inventory: Inventory, name: string): Inventory {
  requireNode(inventory, name);
  return { ...inventory, nodes: inventory.nodes.filter((node) => node.name !== name) };
}

export function requireNode({ nodes }: Inventory, name: string): Node {
  const found = nodes.find((node) => node.name === name);
  if (found !== undefined) return found;
  throw unknown(
    "node",
    name,
    nodes.map((node) => node.name),
  );
}

/** The nodes of these groups and names, each once, in this order; `all` is every node. */
export function selectNodes({ nodes }: Inventory, words: readonly string[]): Node[] {
  const chosen = words.flatMap((word) => {
    const found = nodes.filter(({ name, groups }) => word === "all" || name === word || groups.includes(word));
    if (found.length > 0) return found;
    if (word === "all") throw new FleetError("unknown-node", "the inventory has no node", { hint: "ostler node add" });
    throw unknown("node or group", word, [...new Set(nodes.flatMap(({ name, groups }) => [name, ...groups]))]);
  });
  return [...new Set(chosen)];
}

/** Refuses a name or a group that none can have, before anybody is asked. */
export function checkNames(names: readonly string[]): void {
  for (const name of names) {
    const [issue] = fleetNameSchema.safeParse(name).error?.issues ?? [];
    if (issue !== undefined) throw new FleetError("inventory", `${JSON.stringify(name)}: ${issue.message}`);
  }
}

/** One word is a node or a group, never both: a file that says it would mean either. */
function refuseTwofold({ nodes }: Inventory): void {
  const groups = new Set(nodes.flatMap((node) => node.groups));
  const both = nodes.find(({ name }) => groups.has(name));
  if (both === undefined) return;
  throw new FleetError("node-known", `${both.name}: is the name of a node and of a group`, {
    hint: "ostler node list shows both: call one of them something else",
  });
}

function checked<T>(value: unknown, schema: z.ZodType<T>): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new FleetError(
    "inventory",
    result.error.issues.map(({ path, message }) => `${String(path.at(-1))}: ${message}`).join("; "),
  );
}

function changeNode(inventory: Inventory, name: string, change: Partial<Node>): Inventory {
  return { ...inventory, nodes: inventory.nodes.map((node) => (node.name === name ? { ...node, ...change } : node)) };
}

function refuseTaken(nodes: readonly Node[], name: string): void {
  if (!nodes.some((node) => node.name === name)) return;
  throw new FleetError("node-known", `${name}: a node of that name is there already`, { hint: "ostler node list" });
}

function unknown(what: string, word: string, known: readonly string[]): FleetError {
  const near = nearest(word, known);
  return new FleetError("unknown-node", `expected a ${what}, got ${JSON.stringify(word)}`, {
    hint: near === undefined ? "ostler node list shows which there are" : `did you mean ${near}?`,
  });
}
