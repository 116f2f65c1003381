import type { Store } from "../../images/store.ts";
import { BOOT_ANNOTATION, type Boot } from "../../manifests/boot.ts";
import { canonicalJson } from "../../manifests/document.ts";
import { type Descriptor, MEDIA_TYPES } from "../../manifests/image.ts";
import { type ConfigInput, imageConfig } from "./config.ts";

export interface WrittenImage {
  descriptor: Descriptor;
  /** Its name in the store: `shop:latest`. */
  reference: string;
}

/** Writes config and manifest (image-spec manifest.md) and, where `tag` says so, moves NAME:latest to it. One input gives one digest. */
export async function writeImage(
  store: Store,
  input: ConfigInput & { boot: Boot | undefined },
  tag: boolean,
): Promise<WrittenImage> {
  const written = await store.write(Buffer.from(canonicalJson(imageConfig(input))));
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config: { mediaType: MEDIA_TYPES.config, digest: written.digest, size: written.size },
    layers: input.layers.map((layer) => layer.descriptor),
    ...(input.boot === undefined ? {} : { annotations: { [BOOT_ANNOTATION]: canonicalJson(input.boot) } }),
  };
  const { digest, size } = await store.write(Buffer.from(canonicalJson(manifest)));
  const descriptor: Descriptor = { mediaType: MEDIA_TYPES.manifest, digest, size };
  const reference = `${input.recipe.name}:latest`;
  if (tag) await store.tag(reference, descriptor);
  return { descriptor, reference };
}
