import { join } from "node:path";
import { withLock } from "../../effects/lock.ts";
import { openSource } from "../../effects/source.ts";
import { type Image, loadImage } from "../../images/image.ts";
import { openStore, type Store } from "../../images/store.ts";
import { type Home, openSigners, readKeys } from "../../keys/authority.ts";
import { appendEnvelopes, readEnvelopes } from "../../keys/envelopes.ts";
import { TrustError } from "../../keys/error.ts";
import { judgeImage, latestMark, type Refusal } from "../../keys/judge.ts";
import type { Sealer } from "../../keys/seal.ts";
import { openTrust, type Trust } from "../../keys/trust.ts";
import type { Publishing } from "../../keys/tuf/repository.ts";
import { bootBlobs, bootOf } from "../../manifests/boot.ts";
import { type Digest, shortDigest } from "../../manifests/digest.ts";
import type { Descriptor } from "../../manifests/image.ts";
import type { Policy } from "../../manifests/policy.ts";
import type { Release } from "../../manifests/release.ts";
import type { Progress } from "../../terminal/progress.ts";
import { PromoteError, refusedImage, staleRepository } from "./error.ts";
import { openBuiltStore } from "./open-store.ts";
import { decideRelease, unreadValues } from "./release.ts";

export interface PromoteOptions {
  home: Home;
  /** The directory of the store that holds the image and its statements. */
  store: string;
  /** Tag, digest or start of a digest. */
  reference: string;
  channel: string;
  version?: string | undefined;
  values: Readonly<Record<string, string>>;
  sealer: Sealer | undefined;
  progress: Progress;
  now: Date;
}

export interface Promotion {
  /** False where the channel already runs this image with these values. */
  changed: boolean;
  release: Release;
  previous: Release | undefined;
  /** Names of given values that the image's CONFIG does not read. */
  unread: string[];
}

/**
 * Moves an image into a channel: judged first by the rules that nodes apply, then its blobs copied bit for bit into
 * the repository, then its statements, then the release published last. Refuses an image that is not green. Where the
 * channel has this release already, statements that are new and blobs that are missing still go there. What is
 * published is held by the home's own trust from then on.
 */
export async function promote(options: PromoteOptions): Promise<Promotion> {
  const { home, channel, progress } = options;
  const store = await openBuiltStore(options.store);
  const image = await loadImage(store, options.reference);
  const product = image.app?.name; // nodes take an image under no other name
  if (product === undefined) throw namelessImage(options.reference, image.descriptor.digest);
  const { publishRelease, readFirstRoot } = await import("../../keys/tuf/repository.ts");
  await readFirstRoot(home.repository);
  const open = () => openChannel(options, product);

  return await withLock(join(home.repository, "promote"), async () => {
    const known = await open().catch(unlessExpired);
    const signers = await openSigners(await readKeys(home.keys), [channel, "snapshot", "timestamp"], options.sealer);
    const publishing: Publishing = { directory: home.repository, signers, now: options.now };
    const { trust, previous } = known?.trust.fresh ? known : await refresh(publishing, open);
    const envelopes = await readEnvelopes(openSource(options.store), image.descriptor.digest);
    checkImage(trust.policy, channel, product, image.descriptor, envelopes);
    const { descriptor, config } = image;
    const decided = decideRelease({ ...options, product, image: descriptor, config, previous, policy: trust.policy });
    const release = decided ?? previous;
    if (release === undefined) throw new TypeError("expected a release where there is no previous one");
    await copyImage(store, await openStore(join(home.repository, "oci")), image, release, progress);
    await appendEnvelopes(home.repository, descriptor.digest, envelopes);
    if (decided !== undefined) await publishRelease(publishing, decided);
    await open();
    const unread = unreadValues(options.values, image.app?.config ?? []);
    return { changed: decided !== undefined, release, previous, unread };
  });
}

interface Channel {
  trust: Trust;
  previous: Release | undefined;
}

/** The repository's trust and, where that is fresh, the channel's release so far. Refuses a channel that there is none of. */
async function openChannel({ home, channel, now }: PromoteOptions, product: string): Promise<Channel> {
  const trust = await openTrust({ source: openSource(home.repository), directory: home.trust, now: () => now });
  if (!trust.fresh) return { trust, previous: undefined };
  if (!trust.channels.includes(channel)) throw unknownChannel(channel, trust.channels);
  return { trust, previous: await trust.release(channel, product) };
}

/** What has merely expired is refreshed, as its publisher may. */
async function refresh(publishing: Publishing, open: () => Promise<Channel>): Promise<Channel> {
  const { refreshTimestamp } = await import("../../keys/tuf/repository.ts");
  await refreshTimestamp(publishing);
  const refreshed = await open();
  if (refreshed.trust.fresh) return refreshed;
  const next = "where the keys of the role that is named are";
  throw staleRepository(publishing.directory, refreshed.trust.staleReason, next);
}

/** Expired, or nothing verified here before: a home whose promotion comes late. */
function unlessExpired(error: unknown): undefined {
  if (error instanceof TrustError && (error.code === "metadata-missing" || error.code === "metadata-expired")) return;
  throw error;
}

/** What nodes would refuse, and a tester's newest mark that is red: withheld from nodes it proves nothing, here it does. */
function checkImage(
  policy: Policy,
  channel: string,
  product: string,
  { digest }: Descriptor,
  envelopes: readonly unknown[],
): void {
  const verdict = judgeImage({ policy, channel, image: digest, envelopes });
  if (!verdict.allowed) throw refusedImage(product, digest, channel, verdict.refusals);
  if (latestMark(policy, digest, envelopes) !== "red") return;
  const red: Refusal = {
    rule: "tested",
    role: "tester",
    digest,
    message: `${shortDigest(digest)}: expected its newest mark to be green, got red`,
    hint: `run it again with \`ostler ci RECIPE\`, or \`ostler mark ${shortDigest(digest)} --green --reason WHY\``,
  };
  throw refusedImage(product, digest, channel, [red]);
}

/** Layers, a host's boot parts and config first, then the manifest that names them, then the name. Each is checked there. */
async function copyImage(store: Store, repository: Store, image: Image, release: Release, progress: Progress) {
  const { descriptor, manifest } = image;
  const boot = bootOf(manifest);
  const parts = boot === undefined ? [] : bootBlobs(boot);
  const blobs = [...manifest.layers, ...parts, manifest.config, descriptor];
  for (const [index, { digest }] of blobs.entries()) {
    const id = `copy ${shortDigest(digest)}`;
    progress({ id, state: "started", text: `blob ${index + 1} of ${blobs.length}`, fraction: index / blobs.length });
    await store.copyTo(digest, repository);
    progress({ id, state: "done", text: `blob ${index + 1} of ${blobs.length}` });
  }
  await repository.tag(`${release.product}:${release.channel}-${release.sequence}`, descriptor);
}

function unknownChannel(channel: string, known: readonly string[]): PromoteError {
  return new PromoteError("channel-unknown", `channel ${channel}: expected ${known.join(" or ") || "none"}`, {
    hint: "name one with --to; the targets' key makes others",
  });
}

function namelessImage(reference: string, image: Digest): PromoteError {
  const what = `${reference} ${shortDigest(image)}`;
  return new PromoteError(
    "product-missing",
    `${what}: expected an image that runs something, got one that starts nothing`,
    {
      hint: "give its recipe an ENTRYPOINT or CMD, and build it again",
    },
  );
}
