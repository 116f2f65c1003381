import type { Json, Leaf, Tree } from "./tree.ts";

/** One document of values, as the merge takes it. */
export interface Layer {
  layer: string;
  /** As whoever set it named it. */
  file: string;
  tree: Tree;
}

/** A value that holds, with the layer and the line it came from. */
export interface Value {
  value: Leaf;
  layer: string;
  file: string;
  line: number;
}

/** The values that hold, by dotted path: scalars and lists only. */
export type Effective = ReadonlyMap<string, Value>;

type Merged = Map<string, Value | Merged>;

/**
 * Merges layers, weakest first (ADR 0014): maps merge name by name; scalars and lists replace what was there, and so
 * does a map in place of a scalar or the other way round; null removes, with all below it.
 */
export function mergeLayers(layers: readonly Layer[]): Effective {
  const merged: Merged = new Map();
  for (const { layer, file, tree } of layers) {
    if ("members" in tree) mergeInto(merged, tree.members, { layer, file });
  }
  return new Map(flatten(merged, ""));
}

/** A map of values as it is in JSON, names in order; undefined where no value has such a path. */
export function mapAt(values: Effective, path: string): Json | undefined {
  const below = [...values.keys()].filter((name) => name.startsWith(`${path}.`));
  if (below.length === 0) return undefined;
  const names = [...new Set(below.map((name) => name.slice(path.length + 1).split(".")[0] ?? ""))].sort();
  return Object.fromEntries(
    names.map((name) => {
      const at = `${path}.${name}`;
      return [name, values.get(at)?.value ?? mapAt(values, at) ?? null];
    }),
  );
}

/** What a release declares as a layer of its own: names with points are paths. */
export function releaseLayer(declared: Readonly<Record<string, string>>): Layer {
  const root: Members = new Map();
  for (const name of Object.keys(declared).sort()) {
    const words = name.split(".");
    const last = words.pop() ?? name;
    const at = words.reduce((members: Members, word) => {
      const found = members.get(word);
      if (found instanceof Map) return found;
      const made: Members = new Map();
      members.set(word, made);
      return made;
    }, root);
    at.set(last, declared[name] ?? "");
  }
  return { layer: "release", file: "release", tree: treeOf(root) };
}

type Members = Map<string, string | Members>;

function treeOf(members: Members): Tree {
  const entries = [...members].map(([name, value]): [string, Tree] => [
    name,
    typeof value === "string" ? { line: 0, leaf: value } : treeOf(value),
  ]);
  return { line: 0, members: Object.fromEntries(entries) };
}

function mergeInto(merged: Merged, members: Record<string, Tree>, origin: { layer: string; file: string }): void {
  for (const [name, member] of Object.entries(members)) {
    if ("members" in member) {
      const before = merged.get(name);
      const into: Merged = before instanceof Map ? before : new Map();
      merged.set(name, into);
      mergeInto(into, member.members, origin);
    } else if (member.leaf === null) merged.delete(name);
    else merged.set(name, { value: member.leaf, ...origin, line: member.line });
  }
}

function* flatten(merged: Merged, before: string): Generator<[string, Value]> {
  for (const [name, value] of merged) {
    const path = `${before}${name}`;
    if (value instanceof Map) yield* flatten(value, `${path}.`);
    else yield [path, value];
  }
}
