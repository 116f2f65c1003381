import * as z from "zod";
import { digestSchema } from "./digest.ts";
import { DOCUMENT_LIMITS, parseDocument } from "./document.ts";
import type { ImageManifest } from "./image.ts";

/** Manifest annotation that makes an image a host image: the boot document as canonical JSON. */
export const BOOT_ANNOTATION = "dev.ostler.boot";

/** The largest UKI that is accepted, in bytes: firmware reads it from a small partition into memory. */
const LARGEST_UKI = 512 * 1024 * 1024;

const blobSchema = z.strictObject({ digest: digestSchema, size: z.int().positive().max(LARGEST_UKI) });

/** A file that firmware starts, and the blobs which, one behind the other, are its bytes. */
const bootFile = { uki: blobSchema, parts: z.array(blobSchema).min(1).max(16) };

const isWhole = ({ uki, parts }: { uki: BootBlob; parts: BootBlob[] }) =>
  parts.reduce((sum, { size }) => sum + size, 0) === uki.size;

const WHOLE = { error: "expected parts that are as long as the UKI together", path: ["parts"] };

const bootFileSchema = z.strictObject(bootFile).refine(isWhole, WHOLE);

/** How a host image is booted (design section 7): its root, and the UKI whose command line names that root. */
const bootSchema = z
  .strictObject({
    schema: z.literal(1),
    /** Root digest: SHA-256 of the list of root layers with their verity roots, hex. */
    root: z.string().regex(/^[0-9a-f]{64}$/, "expected 64 lower-case hex digits"),
    ...bootFile,
    /** Kernel release, as uname -r says it. */
    kernel: z.string().min(1).max(128),
    kernelDigest: digestSchema,
    initrdDigest: digestSchema,
    /** The recipe's part of the command line. */
    cmdline: z.string().max(2048),
    /** The small system that lays a good image down again; it shares parts with the UKI. */
    recovery: bootFileSchema.optional(),
    /** systemd-boot, signed with the key that signed the UKI; without it the loader is the one in the layers. */
    loader: blobSchema.optional(),
  })
  .refine(isWhole, WHOLE);

export type Boot = z.infer<typeof bootSchema>;
export type BootBlob = z.infer<typeof blobSchema>;
export type BootFile = z.infer<typeof bootFileSchema>;

/** The boot document of an image; undefined where it is no host image. */
export function bootOf(manifest: ImageManifest): Boot | undefined {
  const text = manifest.annotations?.[BOOT_ANNOTATION];
  if (text === undefined) return undefined;
  return parseDocument(
    Buffer.from(text),
    bootSchema,
    `manifest annotation ${BOOT_ANNOTATION}`,
    DOCUMENT_LIMITS.ociConfig,
  );
}

/** Every blob that a host image has beside its layers, each once. */
export function bootBlobs(boot: Boot): BootBlob[] {
  const loader = boot.loader === undefined ? [] : [boot.loader];
  const blobs = [...boot.parts, ...(boot.recovery?.parts ?? []), ...loader];
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
}

export const bootExample: Boot = {
  schema: 1,
  root: "0".repeat(64),
  uki: { digest: `sha256:${"1".repeat(64)}`, size: 30 },
  parts: [
    { digest: `sha256:${"2".repeat(64)}`, size: 10 },
    { digest: `sha256:${"3".repeat(64)}`, size: 20 },
  ],
  kernel: "6.1.0-28-amd64",
  kernelDigest: `sha256:${"4".repeat(64)}`,
  initrdDigest: `sha256:${"5".repeat(64)}`,
  cmdline: "console=ttyS0",
};
