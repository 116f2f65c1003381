import { mkdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { ProcessError, run } from "../../effects/process.ts";
import { type Image, loadImage } from "../../images/image.ts";
import type { PackedLayer } from "../../images/layer/pack.ts";
import { unpackLayer } from "../../images/layer/unpack.ts";
import { openStore, type Store } from "../../images/store.ts";
import type { Digest } from "../../manifests/digest.ts";
import { type Descriptor, LAYER_ANNOTATIONS } from "../../manifests/image.ts";
import type { CachedTree } from "../cache/cache.ts";
import { EMPTY_CHAIN, extendChain } from "../chain.ts";
import { BuildError } from "../error.ts";
import { expectPrograms } from "../programs.ts";
import type { From } from "../recipe/recipe.ts";
import type { ListedEntry } from "../tree/listing.ts";
import { scanTree } from "../tree/scan.ts";
import { type Base, type BaseShop, baseKey, packBase, recall, remember } from "./shop.ts";

type ImageFrom = Extract<From, { kind: "image" | "oci" | "registry" }>;

/**
 * `FROM image:`, `FROM oci:` and registry references. The layers of an image that ostler made are taken as they are, so
 * that what is built on it shares them; those of any other image are squashed into one that a node can prove.
 */
export async function importImage(from: ImageFrom, pinned: Digest | undefined, shop: BaseShop): Promise<Base> {
  if (pinned !== undefined) {
    const present = await recall(contentKey(pinned, shop), shop);
    if (present !== undefined) return present;
  }
  switch (from.kind) {
    case "image":
      return importFrom(shop.store, from, await referenceIn(shop.store, pinned, from.digest ?? tagOf(from)), shop);
    case "oci": {
      const layout = await openLayout(resolve(shop.recipeDirectory, from.directory), from);
      return importFrom(
        layout,
        from,
        await referenceIn(layout, pinned, from.tag ?? (await onlyTag(layout, from))),
        shop,
      );
    }
    case "registry":
      return shop.cache.withWork(async (work) => {
        const directory = join(work, "layout");
        await fetchImage(from, pinned, directory, shop);
        return importFrom(await openStore(directory), from, "base", shop);
      });
  }
}

function contentKey(manifest: Digest, shop: BaseShop): string {
  return baseKey("image", `${manifest} ${shop.compression}`);
}

async function importFrom(source: Store, from: ImageFrom, reference: string, shop: BaseShop): Promise<Base> {
  const image = await loadImage(source, reference).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BuildError("base-missing", `FROM ${from.reference}: ${reason}`, {
      cause,
      hint: "ostler images lists what is there",
    });
  });
  const digest = image.descriptor.digest;
  const present = await recall(contentKey(digest, shop), shop);
  if (present !== undefined) return present;

  const unpacked = await unpackLayers(source, image, shop);
  const ours = image.manifest.layers.every((layer) => layer.annotations?.[LAYER_ANNOTATIONS.verityRoot] !== undefined);
  const layers = ours
    ? await takeLayers(source, image, shop)
    : [
        await packBase(
          unpacked.map(({ entries }) => entries),
          shop,
        ),
      ];
  const base: Base = { digest, trees: unpacked.map(({ tree }) => tree), layers, config: image.config.config };
  await remember(contentKey(digest, shop), base, shop);
  return base;
}

async function unpackLayers(source: Store, image: Image, shop: BaseShop) {
  const unpacked: { tree: CachedTree; entries: ListedEntry[] }[] = [];
  let chain = EMPTY_CHAIN;
  for (const [index, layer] of image.manifest.layers.entries()) {
    const diffId = image.config.rootfs.diff_ids[index];
    unpacked.push(
      await shop.cache.withWork(async (work) => {
        const tree = join(work, "tree");
        await mkdir(tree);
        const options = { missingParents: index === 0 ? "create" : "refuse" } as const;
        await unpackLayer(source.stream(layer.digest), layer.mediaType, diffId, join(tree, "root"), options);
        const entries = await scanTree(join(tree, "root"), Number.MAX_SAFE_INTEGER);
        const kept = await shop.cache.keepTree(tree, entries, chain.id);
        chain = extendChain(chain, kept);
        return { tree: kept, entries: await shop.cache.listing(kept) };
      }),
    );
  }
  return unpacked;
}

async function takeLayers(source: Store, image: Image, shop: BaseShop): Promise<PackedLayer[]> {
  return Promise.all(
    image.manifest.layers.map(async (layer, index) => {
      await source.copyTo(layer.digest, shop.store);
      return { descriptor: asBase(layer), diffId: image.config.rootfs.diff_ids[index] as Digest };
    }),
  );
}

function asBase(layer: Descriptor): Descriptor {
  return { ...layer, annotations: { ...layer.annotations, [LAYER_ANNOTATIONS.section]: "base" } };
}

/** The pinned image where it is still there, else what the name means now. */
async function referenceIn(source: Store, pinned: Digest | undefined, reference: string): Promise<string> {
  return pinned !== undefined && (await source.has(pinned)) ? pinned : reference;
}

function tagOf(from: Extract<From, { kind: "image" }>): string {
  return `${from.name}:${from.tag ?? "latest"}`;
}

async function openLayout(directory: string, from: ImageFrom): Promise<Store> {
  if ((await unlessMissing(stat(join(directory, "oci-layout")))) !== undefined) return openStore(directory);
  throw new BuildError(
    "base-missing",
    `FROM ${from.reference}: expected an OCI image layout in ${directory}, got no oci-layout file`,
  );
}

async function onlyTag(layout: Store, from: ImageFrom): Promise<string> {
  const tags = await layout.tags();
  const [first, second] = tags;
  if (first !== undefined && second === undefined) return first.name;
  const names = tags.map((tag) => tag.name).join(", ") || "none";
  throw new BuildError(
    "base-missing",
    `FROM ${from.reference}: expected a tag, since the layout has several or none: ${names}`,
  );
}

/** The exact image when it is pinned, so that a tag that moved is not even looked at. */
async function fetchImage(
  from: Extract<From, { kind: "registry" }>,
  pinned: Digest | undefined,
  directory: string,
  shop: BaseShop,
): Promise<void> {
  expectPrograms("skopeo");
  const digest = pinned ?? from.digest;
  const name = `${from.registry}/${from.repository}${digest === undefined ? `:${from.tag ?? "latest"}` : `@${digest}`}`;
  try {
    const { signal, onOutput } = shop;
    await run(["skopeo", "copy", "--retry-times", "2", `docker://${name}`, `oci:${directory}:base`], {
      signal,
      onOutput,
    });
  } catch (error) {
    if (!(error instanceof ProcessError) || error.code === "process-missing") throw error;
    throw new BuildError(
      "base-unreachable",
      `FROM ${from.reference}: expected skopeo to fetch docker://${name}, got ${error.output}`,
      {
        cause: error,
        hint: "check the name, the network and the login; FROM debian:SUITE needs no registry",
      },
    );
  }
}
