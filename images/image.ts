import type { App } from "../manifests/app.ts";
import { DOCUMENT_LIMITS } from "../manifests/document.ts";
import {
  appOf,
  type Descriptor,
  type ImageConfig,
  type ImageManifest,
  MEDIA_TYPES,
  parseImageConfig,
  parseManifest,
} from "../manifests/image.ts";
import type { Store } from "./store.ts";
import { StoreError } from "./store-error.ts";

/** An image's documents, each checked against the digest that names it. Layers are not read. */
export interface Image {
  descriptor: Descriptor;
  manifest: ImageManifest;
  config: ImageConfig;
  /** What the image runs; absent where it was not made from a recipe that runs something. */
  app?: App;
}

/** Loads the image that a reference means. Refuses one whose manifest and config do not fit each other. */
export async function loadImage(store: Store, reference: string): Promise<Image> {
  const descriptor = await store.resolve(reference);
  if (descriptor.mediaType !== MEDIA_TYPES.manifest) {
    throw invalid(descriptor, `expected media type ${MEDIA_TYPES.manifest}, got ${descriptor.mediaType}`);
  }
  const manifest = parseManifest(await store.read(descriptor.digest, DOCUMENT_LIMITS.ociManifest));
  const config = parseImageConfig(await store.read(manifest.config.digest, DOCUMENT_LIMITS.ociConfig));
  const diffIds = config.rootfs.diff_ids.length;
  if (diffIds !== manifest.layers.length) {
    throw invalid(descriptor, `expected a diff_id for each of ${manifest.layers.length} layers, got ${diffIds}`);
  }
  const app = appOf(config);
  return { descriptor, manifest, config, ...(app === undefined ? {} : { app }) };
}

function invalid(descriptor: Descriptor, message: string): StoreError {
  return new StoreError("image-invalid", `image ${descriptor.digest}: ${message}`);
}
