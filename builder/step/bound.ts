import { BuildError } from "../error.ts";
import type { Mount } from "../recipe/recipe.ts";
import { boundPath, rebase } from "../sandbox/mounts.ts";
import type { ContextEntry } from "../source/context.ts";
import type { ListedEntry } from "../tree/listing.ts";
import { type StepShop, treeOf } from "./shop.ts";

export type BindMount = Extract<Mount, { type: "bind" }>;

/** What a `--mount=type=bind` shows: entries of the context or of a tree, the bound path itself as the empty string. */
export async function boundEntries(mount: BindMount, shop: StepShop, epoch: number): Promise<ListedEntry[]> {
  const source = treeOf(shop, mount.from);
  const path = boundPath(mount.source);
  const entries =
    source === undefined ? contextEntries(path, shop, epoch) : await treeEntries(path, await shop.views(source.chain));
  if (entries.length > 0) return rebase(entries);
  throw new BuildError(
    "source-missing",
    `--mount source=${mount.source}: expected a file or directory there, got none`,
  );
}

function contextEntries(path: string, shop: StepShop, epoch: number): ListedEntry[] {
  const root = shop.context.find(path);
  if (root === undefined) return [];
  const entries = root.type === "directory" ? [{ ...root, mode: 0o755 }, ...shop.context.below(root.path)] : [root];
  for (const entry of entries) shop.context.taken.add(entry.path);
  return entries.map((entry) => listed(entry, epoch));
}

function listed(entry: ContextEntry, epoch: number): ListedEntry {
  const { path, type, mode, size, link, sha256, file } = entry;
  const plain = { uid: 0, gid: 0, mtime: { seconds: epoch, nanoseconds: 0 }, device: { major: 0, minor: 0 } };
  const common = { path, type, mode, size, link, ...plain, xattrs: new Map<string, Buffer>() };
  return type === "file" ? { ...common, sha256, content: { file } } : common;
}

async function treeEntries(path: string, tree: import("../tree/tree.ts").Tree): Promise<ListedEntry[]> {
  return tree.below(tree.resolve(path));
}
