import { createHash } from "node:crypto";
import type { Source } from "../../effects/source.ts";
import { readEnvelopes } from "../../keys/envelopes.ts";
import { judgeImage, type Verdict } from "../../keys/judge.ts";
import type { Trust } from "../../keys/trust.ts";
import { bootBlobs, bootOf } from "../../manifests/boot.ts";
import { type Digest, digestFromHex, hexOf } from "../../manifests/digest.ts";
import { DOCUMENT_LIMITS } from "../../manifests/document.ts";
import { appOf, parseImageConfig, parseManifest } from "../../manifests/image.ts";
import type { Release } from "../../manifests/release.ts";

/** A blob of an image, read and hashed. */
interface BlobCheck {
  what: "manifest" | "config" | "layer" | "boot part";
  digest: Digest;
  size: number;
  /** What is wrong with it; undefined where it is what its digest says. */
  problem: string | undefined;
}

export interface Verification {
  image: Digest;
  channel: string;
  verdict: Verdict;
  blobs: BlobCheck[];
  /** True when nodes would take the image from this channel and every blob is whole. */
  allowed: boolean;
}

export interface VerifyOptions {
  trust: Trust;
  /** Where statements and blobs are read. */
  source: Source;
  /** Path of the blobs in it: `blobs/sha256` in a store, `oci/blobs/sha256` in a repository. */
  blobs: string;
  image: Digest;
  channel: string;
  release?: Release | undefined;
}

/** Verifies an image as a node does: the same judgement of the same statements, and every blob against its digest. */
export async function verifyImage({
  trust,
  source,
  blobs,
  image,
  channel,
  release,
}: VerifyOptions): Promise<Verification> {
  const envelopes = await readEnvelopes(source, image);
  const verdict = judgeImage({ policy: trust.policy, channel, image, envelopes, release });
  const checks = await checkBlobs(source, blobs, image, release?.product);
  return {
    image,
    channel,
    verdict,
    blobs: checks,
    allowed: verdict.allowed && checks.every(({ problem }) => !problem),
  };
}

async function checkBlobs(source: Source, blobs: string, image: Digest, product?: string): Promise<BlobCheck[]> {
  const pathOf = (digest: Digest) => `${blobs}/${hexOf(digest)}`;
  const manifest = await checkDocument(source, pathOf(image), "manifest", image, DOCUMENT_LIMITS.ociManifest);
  if (manifest.bytes === undefined) return [manifest.check];
  const parsed = parseManifest(manifest.bytes);
  const { digest } = parsed.config;
  const config = await checkDocument(source, pathOf(digest), "config", digest, DOCUMENT_LIMITS.ociConfig);
  if (config.bytes !== undefined && product !== undefined) config.check.problem = findOtherName(config.bytes, product);
  const boot = bootOf(parsed);
  const rest = [
    ...parsed.layers.map((layer) => ({ what: "layer" as const, ...layer })),
    ...(boot === undefined ? [] : bootBlobs(boot)).map((part) => ({ what: "boot part" as const, ...part })),
  ];
  const checks: BlobCheck[] = [manifest.check, config.check];
  for (const { what, digest, size } of rest) {
    checks.push({ what, digest, size, problem: await findProblem(source, pathOf(digest), digest, size) });
  }
  return checks;
}

/** A node takes an image under its own name alone. */
function findOtherName(config: Uint8Array, product: string): string | undefined {
  const name = appOf(parseImageConfig(config))?.name;
  return name === product ? undefined : `expected an image of ${product}, got ${name ?? "one that starts nothing"}`;
}

/** A document's bytes, given only when they are what the digest says. */
async function checkDocument(
  source: Source,
  path: string,
  what: BlobCheck["what"],
  digest: Digest,
  limit: number,
): Promise<{ check: BlobCheck; bytes: Uint8Array | undefined }> {
  const bytes = await source.read(path, limit);
  const found = bytes === undefined ? undefined : digestFromHex(createHash("sha256").update(bytes).digest("hex"));
  const problem = describe(path, digest, found);
  const check: BlobCheck = { what, digest, size: bytes?.length ?? 0, problem };
  return { check, bytes: problem === undefined ? bytes : undefined };
}

async function findProblem(source: Source, path: string, digest: Digest, size: number): Promise<string | undefined> {
  const chunks = await source.stream(path);
  if (chunks === undefined) return describe(path, digest, undefined);
  const hash = createHash("sha256");
  let read = 0;
  for await (const chunk of chunks) {
    read += chunk.length;
    if (read > size) return `${path}: expected ${size} bytes, got more`;
    hash.update(chunk);
  }
  if (read < size) return `${path}: expected ${size} bytes, got ${read}`;
  return describe(path, digest, digestFromHex(hash.digest("hex")));
}

function describe(path: string, expected: Digest, found: Digest | undefined): string | undefined {
  if (found === expected) return undefined;
  return found === undefined ? `${path}: expected a blob, got none` : `${path}: expected ${expected}, got ${found}`;
}
