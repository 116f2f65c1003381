import { createHash } from "node:crypto";
import { readFileSync, rmSync, statSync } from "node:fs";
import { run } from "../effects/process.ts";
import { createErofsWriter, type ErofsResult } from "../images/erofs/write.ts";
import { createTarReader } from "../images/tar/read.ts";
import { digestFromHex } from "../manifests/digest.ts";
import { type Descriptor, LAYER_ANNOTATIONS, MEDIA_TYPES } from "../manifests/image.ts";

/** A layer blob and what a signed manifest would say of it. */
export interface TestLayer {
  blob: string;
  layer: Descriptor;
  result: ErofsResult;
}

/** Makes a tar with GNU tar, in the form layers have. */
export async function packTree(directory: string, tar: string): Promise<void> {
  const attributes = ["--format=pax", "--xattrs", "--xattrs-include=*", "--numeric-owner"];
  await run(["tar", ...attributes, "--sort=name", "-cf", tar, "-C", directory, "."]);
}

/** Extracts a tar with GNU tar, keeping everything. */
export async function extractTree(tar: string, directory: string): Promise<void> {
  const attributes = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "--same-owner"];
  await run(["tar", ...attributes, "-xpf", tar, "-C", directory]);
}

/** Turns a tar file into a layer blob beside it, with the zstd program, and removes the tar unless it is kept. */
export async function makeLayer(tar: string, keep: "keep" | "remove" = "remove"): Promise<TestLayer> {
  const bytes = readFileSync(tar);
  const writer = createErofsWriter(undefined);
  const reader = createTarReader(writer);
  reader.push(bytes);
  reader.finish();
  const result = writer.finish();
  const blob = `${tar}.zst`;
  await run(["zstd", "-3", "-q", "-f", tar, "-o", blob]);
  if (keep === "remove") rmSync(tar);
  const layer: Descriptor = {
    mediaType: MEDIA_TYPES.layerZstd,
    digest: digestFromHex(sha256(readFileSync(blob))),
    size: statSync(blob).size,
    annotations: {
      [LAYER_ANNOTATIONS.verityRoot]: result.root,
      [LAYER_ANNOTATIONS.erofsSize]: String(result.size),
      [LAYER_ANNOTATIONS.erofsFormat]: String(result.format),
    },
  };
  return { blob, layer, result };
}

/** The layer as a manifest would have it in which one annotation says something else. */
export function annotate(layer: Descriptor, name: string, value: string): Descriptor {
  return { ...layer, annotations: { ...layer.annotations, [name]: value } };
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
