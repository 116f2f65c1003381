import { type Cache, type CachedTree, keyOf } from "./cache/cache.ts";
import { mergedTree } from "./tree/squash.ts";
import { openTree, type Tree } from "./tree/tree.ts";

/** Step results on top of each other, lowest first: what a tree is made of, and the key that names it. */
export interface Chain {
  /** Names the tree by its content (64 hex digits). */
  id: string;
  trees: readonly CachedTree[];
}

export const EMPTY_CHAIN: Chain = { id: keyOf("scratch"), trees: [] };

export function extendChain(chain: Chain, ...trees: readonly CachedTree[]): Chain {
  return trees.reduce((below, tree) => ({ id: keyOf([below.id, tree.id]), trees: [...below.trees, tree] }), chain);
}

/** Merged views of chains, each made at most once in a build. */
export type Views = (chain: Chain) => Promise<Tree>;

export function openViews(cache: Cache): Views {
  const views = new Map<string, Promise<Tree>>();
  return (chain) => {
    const present = views.get(chain.id);
    if (present !== undefined) return present;
    const view = Promise.all(chain.trees.map((tree) => cache.listing(tree))).then((all) => openTree(mergedTree(all)));
    views.set(chain.id, view);
    return view;
  };
}
