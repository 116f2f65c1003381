import { dirname } from "node:path";
import { LayerError } from "../../images/layer/error.ts";
import { isWhiteout } from "../../images/layer/markers.ts";
import { type PackedLayer, packLayer } from "../../images/layer/pack.ts";
import type { Store } from "../../images/store.ts";
import type { Compression } from "../../images/zstd.ts";
import { type Cache, type CachedTree, keyOf } from "../cache/cache.ts";
import type { Chain, Views } from "../chain.ts";
import { BuildError } from "../error.ts";
import { BUILD_FORMAT } from "../format.ts";
import { isOpaque, type ListedEntry } from "../tree/listing.ts";
import { squash } from "../tree/squash.ts";
import { isVolatile } from "../tree/volatile.ts";

export interface SectionLayer extends PackedLayer {
  section: "base" | "bootstrap" | "deploy";
  /** Nothing was packed: the blob was there already. */
  reused: boolean;
}

export interface LayerShop {
  cache: Cache;
  store: Store;
  views: Views;
  compression: Compression;
  /** Paths that go into no layer, although the tree has them: what BOOT names. */
  left: ReadonlySet<string>;
}

/** What of a section's steps becomes one layer. */
export interface SectionTrees {
  section: "bootstrap" | "deploy";
  /** The tree that the layer lies on. */
  below: Chain;
  /** Results of its steps, lowest first. */
  trees: readonly CachedTree[];
}

/**
 * Squashes a section's steps into one layer. The same trees on the same tree give the same layer, so one that was packed
 * before is taken as it is. Undefined where the steps changed nothing.
 */
export async function packSection(input: SectionTrees, shop: LayerShop): Promise<SectionLayer | undefined> {
  const { section, below, trees } = input;
  if (trees.length === 0) return undefined;
  const key = keyOf({
    format: BUILD_FORMAT,
    zstd: process.versions["zstd"],
    zlib: process.versions.zlib,
    compression: shop.compression,
    section,
    below: below.id,
    trees: trees.map((tree) => tree.id),
    ...(shop.left.size === 0 ? {} : { left: [...shop.left].sort() }),
  });
  const known = await shop.cache.get<PackedLayer>("packs", key);
  if (known !== undefined && (await shop.store.has(known.descriptor.digest)))
    return { ...known, section, reused: true };
  const listings = await Promise.all(trees.map((tree) => shop.cache.listing(tree)));
  const entries = await squashOver(listings, below, shop);
  const options = { section, compression: shop.compression };
  const packed = await packLayer(shop.store, entries, options).catch((error) => throwDamaged(error, trees));
  await shop.cache.put("packs", key, packed);
  return { ...packed, section, reused: false };
}

/** The tree below is read only where something in it may have to be hidden. */
async function squashOver(listings: readonly ListedEntry[][], below: Chain, shop: LayerShop): Promise<ListedEntry[]> {
  const drop = (path: string) => isVolatile(path) || shop.left.has(path);
  if (below.trees.length === 0) return squash(listings, { below: { kind: "nothing" }, drop });
  const all = squash(listings, { below: { kind: "tree", has: () => true }, drop });
  if (!all.some((entry) => isWhiteout(entry) || isOpaque(entry))) return all;
  const view = await shop.views(below);
  return squash(listings, { below: { kind: "tree", has: (path) => view.at(path) !== undefined }, drop });
}

function throwDamaged(error: unknown, trees: readonly CachedTree[]): never {
  if (!(error instanceof LayerError) || error.code !== "layer-changed") throw error;
  const tree = trees.find(({ directory }) => error.message.includes(directory));
  if (tree === undefined) throw error;
  const directory = dirname(tree.directory);
  throw new BuildError("cache-damaged", `${directory} is no longer what a step left there: ${error.message}`, {
    hint: `\`rm -r ${directory}\`, then build again; and look at the disk`,
    cause: error,
  });
}
