import * as z from "zod";
import { APP_LABEL, type App, appSchema } from "./app.ts";
import { type Digest, digestSchema } from "./digest.ts";
import { checkDocument, DOCUMENT_LIMITS, DocumentError, parseDocument } from "./document.ts";
import { parseSignal, SIGTERM, type SignalNumber } from "./signal.ts";

/** OCI image-spec 1.1 media types that ostler writes or reads. */
export const MEDIA_TYPES = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layerZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  layerGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  layerTar: "application/vnd.oci.image.layer.v1.tar",
} as const;

/** Where the blobs of a repository lie in it, by hex digest. */
export const BLOBS = "oci/blobs/sha256";

/** Manifest annotations of a layer: how a node proves that what it mounts is what was built (design section 4). */
export const LAYER_ANNOTATIONS = {
  /** dm-verity root hash (64 hex digits, format 1, SHA-256, 4096-byte blocks, empty salt) of the layer's EROFS image. */
  verityRoot: "dev.ostler.layer.verity-root",
  /** Size of that EROFS image in bytes, without its hash tree. */
  erofsSize: "dev.ostler.layer.erofs-size",
  /** Version of the EROFS layout that gave this root hash. */
  erofsFormat: "dev.ostler.layer.erofs-format",
  /** `base`, `bootstrap` or `deploy`: the section that made the layer. */
  section: "dev.ostler.layer.section",
} as const;

export const descriptorSchema = z.object({
  mediaType: z.string(),
  digest: digestSchema,
  size: z.int().nonnegative(),
  annotations: z.record(z.string(), z.string()).optional(),
});

const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.literal(MEDIA_TYPES.manifest).optional(),
  config: descriptorSchema,
  layers: z.array(descriptorSchema).max(128),
  annotations: z.record(z.string(), z.string()).optional(),
});

export const imageConfigSchema = z.object({
  created: z.string().optional(),
  architecture: z.string(),
  os: z.string(),
  config: z
    .object({
      User: z.string().optional(),
      Env: z.array(z.string()).optional(),
      Entrypoint: z.array(z.string()).nullish(),
      Cmd: z.array(z.string()).nullish(),
      WorkingDir: z.string().optional(),
      Labels: z.record(z.string(), z.string()).nullish(),
      StopSignal: z.string().max(32).nullish(),
    })
    .default({}),
  rootfs: z.object({ type: z.literal("layers"), diff_ids: z.array(digestSchema) }),
  history: z.array(z.record(z.string(), z.unknown())).optional(),
});

export type Descriptor = z.infer<typeof descriptorSchema>;
export type ImageManifest = z.infer<typeof manifestSchema>;
export type ImageConfig = z.infer<typeof imageConfigSchema>;

export interface LayerVerity {
  root: string;
  size: number;
  format: number;
}

/** An image manifest from bytes already checked against their digest (OCI image-spec manifest.md). */
export function parseManifest(bytes: Uint8Array): ImageManifest {
  return parseDocument(bytes, manifestSchema, "image manifest", DOCUMENT_LIMITS.ociManifest);
}

/** An image config from bytes already checked against their digest (OCI image-spec config.md). */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  return parseDocument(bytes, imageConfigSchema, "image config", DOCUMENT_LIMITS.ociConfig);
}

/** The app document of an image; undefined where the image was not made from a recipe that runs something. */
export function appOf(config: ImageConfig): App | undefined {
  const label = config.config.Labels?.[APP_LABEL];
  if (label === undefined) return undefined;
  return parseDocument(Buffer.from(label), appSchema, `image label ${APP_LABEL}`, DOCUMENT_LIMITS.ociConfig);
}

/** What asks the image's program to end; SIGTERM where it does not say (image-spec config.md, StopSignal). */
export function stopSignalOf({ config }: ImageConfig): SignalNumber {
  const text = config.StopSignal ?? "";
  const signal = text === "" ? SIGTERM : parseSignal(text);
  if (signal !== undefined) return signal;
  throw new DocumentError("wrong-shape", `image config: StopSignal: expected a signal such as SIGTERM, got ${text}`);
}

/** The verity annotations of a layer; refuses one that lacks them, since a node could not prove what it mounts. */
export function verityOf(layer: Descriptor): LayerVerity {
  const annotations = layer.annotations ?? {};
  const value = {
    root: annotations[LAYER_ANNOTATIONS.verityRoot],
    size: Number(annotations[LAYER_ANNOTATIONS.erofsSize]),
    format: Number(annotations[LAYER_ANNOTATIONS.erofsFormat]),
  };
  const schema = z.object({
    root: z.string().regex(/^[0-9a-f]{64}$/),
    size: z.int().positive().multipleOf(4096),
    format: z.int().positive(),
  });
  if (value.root === undefined) {
    throw new DocumentError(
      "wrong-shape",
      `layer ${layer.digest}: expected annotation ${LAYER_ANNOTATIONS.verityRoot}`,
    );
  }
  return checkDocument(value, schema, `layer ${layer.digest}`);
}

export type { Digest };
