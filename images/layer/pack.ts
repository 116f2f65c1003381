import { createHash, type Hash } from "node:crypto";
import { type Digest, digestFromHex } from "../../manifests/digest.ts";
import { type Descriptor, LAYER_ANNOTATIONS } from "../../manifests/image.ts";
import type { SourceEntry } from "../entry.ts";
import { createErofsWriter, type ErofsResult } from "../erofs/write.ts";
import type { Store } from "../store.ts";
import { type Compression, compress, mediaTypeOf } from "../zstd.ts";
import { archive } from "./archive.ts";
import { createMarkerEncoder } from "./markers.ts";
import { createLayerRules } from "./rules.ts";

export interface PackOptions {
  compression?: Compression;
  section: "base" | "bootstrap" | "deploy";
}

export interface PackedLayer {
  /** With LAYER_ANNOTATIONS: what a node proves the layer by. */
  descriptor: Descriptor;
  /** Digest of the uncompressed tar (image-spec config.md, "Layer DiffID"). */
  diffId: Digest;
}

/**
 * Makes a layer of entries in overlay form, in one pass: tar, its digest, compression and blob, and beside it the
 * verity root of the EROFS image that a node lays it down as. The bytes depend on the entries and their order alone.
 * Refuses what a layer could not carry exactly (LayerError, ErofsError); then no blob is left.
 */
export async function packLayer(
  store: Store,
  entries: Iterable<SourceEntry> | AsyncIterable<SourceEntry>,
  options: PackOptions,
): Promise<PackedLayer> {
  const compression = options.compression ?? "zstd";
  const erofs = createErofsWriter(undefined);
  const hash = createHash("sha256");
  const tar = hashed(archive(layerEntries(entries), erofs), hash);
  const blob = await store.write(compress(tar, compression));
  const annotations = annotationsOf(erofs.finish(), options.section);
  return {
    descriptor: { mediaType: mediaTypeOf(compression), ...blob, annotations },
    diffId: digestFromHex(hash.digest("hex")),
  };
}

/** The entries as the tar has them, each checked against those before it. */
async function* layerEntries(entries: Iterable<SourceEntry> | AsyncIterable<SourceEntry>): AsyncIterable<SourceEntry> {
  const rules = createLayerRules({ repeated: false });
  const encode = createMarkerEncoder();
  for await (const entry of entries) {
    rules.check(entry);
    yield* encode(entry.type === "hardlink" ? { ...entry, size: 0, xattrs: new Map() } : entry);
  }
}

async function* hashed(chunks: AsyncIterable<Buffer>, hash: Hash): AsyncIterable<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

function annotationsOf(erofs: ErofsResult, section: string): Record<string, string> {
  return {
    [LAYER_ANNOTATIONS.verityRoot]: erofs.root,
    [LAYER_ANNOTATIONS.erofsSize]: String(erofs.size),
    [LAYER_ANNOTATIONS.erofsFormat]: String(erofs.format),
    [LAYER_ANNOTATIONS.section]: section,
  };
}
