import { join } from "node:path";
import { openSource, type Source } from "../../effects/source.ts";
import { openStore, type Store } from "../../images/store.ts";
import type { Home } from "../../keys/authority.ts";
import { openTrust, type Trust } from "../../keys/trust.ts";
import { bootBlobs, bootOf } from "../../manifests/boot.ts";
import { type Digest, hexOf, isDigest } from "../../manifests/digest.ts";
import { DOCUMENT_LIMITS } from "../../manifests/document.ts";
import { BLOBS, parseManifest } from "../../manifests/image.ts";
import type { Release } from "../../manifests/release.ts";
import { openBuiltStore } from "../promote/open-store.ts";
import { verifyImage } from "../promote/verify.ts";
import { DiskError } from "./error.ts";

export interface Choice {
  /** A store that has every blob of the image. */
  store: Store;
  image: Digest;
  /** The release through which it comes; absent where it was not released, or nothing was verified. */
  release?: Release;
}

export interface ChooseOptions {
  home: Home;
  /** Directory of the store that images are built into. */
  builtStore: string;
  /** A product that the channel has a release of, or an image's whole digest. */
  reference: string;
  channel: string;
  /** Where blobs of a repository that is not a directory are put. */
  work: string;
}

/** The store's image that a name or digest means, as it is: nobody was asked whether it may run. For developers. */
export async function chooseUnverified(builtStore: string, reference: string): Promise<Choice> {
  const store = await openBuiltStore(builtStore);
  return { store, image: (await store.resolve(reference)).digest };
}

/** The image that nodes of the channel would take, judged as they judge it; refused where they would refuse it. */
export async function chooseVerified(options: ChooseOptions): Promise<Choice> {
  const { home, channel, reference } = options;
  const source = openSource(home.repository);
  const trust = await openTrust({ source, directory: home.trust, now: () => new Date() });
  if (!trust.fresh) {
    throw new DiskError("not-verified", `${home.repository}: expected a fresh repository: ${trust.staleReason}`, {
      hint: "`ostler keys refresh` signs a new timestamp",
    });
  }
  if (!isDigest(reference)) {
    const release = await findRelease(trust, channel, reference);
    return await verified(options, source, trust, release.image.digest, release);
  }
  return await verified(options, source, trust, reference, undefined);
}

async function findRelease(trust: Trust, channel: string, product: string): Promise<Release> {
  const release = await trust.release(channel, product);
  if (release !== undefined) return release;
  throw new DiskError("not-released", `${product}: expected a release in ${channel}, got none`, {
    hint: `\`ostler promote ${product} --to ${channel}\` makes one; a whole digest is taken without a release; --unverified takes the store's image as it is`,
  });
}

async function verified(
  { channel, builtStore, home, work }: ChooseOptions,
  source: Source,
  trust: Trust,
  image: Digest,
  release: Release | undefined,
): Promise<Choice> {
  const local = /^https?:/.test(home.repository) ? join(work, "fetched") : join(home.repository, "oci");
  const fromRepository = release !== undefined;
  const place = fromRepository ? { source, blobs: BLOBS } : { source: openSource(builtStore), blobs: "blobs/sha256" };
  const { allowed, verdict, blobs } = await verifyImage({ trust, channel, image, release, ...place });
  if (!allowed) {
    const refusals = verdict.allowed ? [] : verdict.refusals;
    const damaged = blobs.flatMap(({ problem }) => (problem === undefined ? [] : [problem]));
    throw new DiskError("not-verified", [...refusals.map(({ message }) => message), ...damaged].join("; "), {
      hint: refusals[0]?.hint ?? "build and promote the image again",
      details: { refusals },
    });
  }
  if (!fromRepository) return { store: await openBuiltStore(builtStore), image };
  const store = await openStore(local);
  if (!(await store.has(image))) await fetchImage(source, image, store);
  return { store, image, release };
}

/** Takes every blob of an image out of a repository at an address; each is checked as it is kept. */
async function fetchImage(source: Source, image: Digest, store: Store): Promise<void> {
  await fetchBlob(source, store, { digest: image });
  const manifest = parseManifest(await store.read(image, DOCUMENT_LIMITS.ociManifest));
  const boot = bootOf(manifest);
  const blobs = [manifest.config, ...manifest.layers, ...(boot === undefined ? [] : bootBlobs(boot))];
  for (const { digest, size } of blobs) await fetchBlob(source, store, { digest, size });
}

async function fetchBlob(source: Source, store: Store, blob: { digest: Digest; size?: number }): Promise<void> {
  const path = `${BLOBS}/${hexOf(blob.digest)}`;
  const chunks = await source.stream(path);
  if (chunks === undefined)
    throw new DiskError("not-verified", `${source.location}/${path}: expected a blob, got none`);
  await store.write(chunks, blob);
}
