import type { PackedLayer } from "../../images/layer/pack.ts";
import { packLayer } from "../../images/layer/pack.ts";
import type { Store } from "../../images/store.ts";
import type { Compression } from "../../images/zstd.ts";
import type { Digest } from "../../manifests/digest.ts";
import type { ImageConfig } from "../../manifests/image.ts";
import { type Cache, type CachedTree, keyOf } from "../cache/cache.ts";
import { architecture, BUILD_FORMAT } from "../format.ts";
import type { ListedEntry } from "../tree/listing.ts";
import { squash } from "../tree/squash.ts";
import { isVolatile } from "../tree/volatile.ts";

/** What a FROM gives: trees to build on, and the layers that stand for them in the image. */
export interface Base {
  /** Pinned by the lock: diff_id of a made base or a tar, manifest digest of an image. */
  digest: Digest;
  trees: CachedTree[];
  layers: PackedLayer[];
  /** What the base image says of itself; undefined for a tree without one. */
  config: ImageConfig["config"] | undefined;
}

/** What the importers of bases share. */
export interface BaseShop {
  cache: Cache;
  store: Store;
  recipeDirectory: string;
  compression: Compression;
  /** Seconds since 1970: times of a made base are clamped to it. */
  epoch: number;
  signal: AbortSignal;
  onOutput(text: string): void;
}

/** As a record in the cache: trees by id. */
interface BaseRecord {
  digest: Digest;
  trees: string[];
  layers: PackedLayer[];
  config?: ImageConfig["config"];
}

/** The key of a base by its content, under which every way to get it is remembered. */
export function baseKey(kind: string, digest: string): string {
  return keyOf({ format: BUILD_FORMAT, architecture: architecture(), kind, digest });
}

/** A remembered base whose trees and layers are all still there; undefined otherwise. */
export async function recall(key: string, shop: BaseShop): Promise<Base | undefined> {
  const record = await shop.cache.get<BaseRecord>("bases", key);
  if (record === undefined) return undefined;
  const trees = await Promise.all(record.trees.map((id) => shop.cache.tree(id)));
  if (trees.some((tree) => tree === undefined)) return undefined;
  for (const layer of record.layers) if (!(await shop.store.has(layer.descriptor.digest))) return undefined;
  return { digest: record.digest, trees: trees as CachedTree[], layers: record.layers, config: record.config };
}

export async function remember(key: string, base: Base, shop: BaseShop): Promise<void> {
  const { digest, trees, layers, config } = base;
  const record: BaseRecord = {
    digest,
    trees: trees.map((tree) => tree.id),
    layers,
    ...(config === undefined ? {} : { config }),
  };
  await shop.cache.put("bases", key, record);
}

/** Packs listings, lowest first, as the one base layer of an image. */
export async function packBase(listings: readonly (readonly ListedEntry[])[], shop: BaseShop): Promise<PackedLayer> {
  const entries = squash(listings, { below: { kind: "nothing" }, drop: isVolatile });
  return packLayer(shop.store, entries, { section: "base", compression: shop.compression });
}
