import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { openSource } from "../../effects/source.ts";
import { openTrust } from "../../keys/trust.ts";
import { unrepaired } from "../../manifests/care.ts";
import { type Digest, digestFromHex, isDigest } from "../../manifests/digest.ts";
import { BLOBS } from "../../manifests/image.ts";
import type { Release } from "../../manifests/release.ts";
import type { Progress } from "../../terminal/progress.ts";
import { bytes } from "../../terminal/table.ts";
import { FleetError } from "../error.ts";
import { contentsOf, type RepositoryFile } from "./contents.ts";
import {
  directoriesFor,
  listBatch,
  makeDirectoriesBatch,
  missingFiles,
  type Present,
  parseListing,
  sendBatch,
} from "./plan.ts";
import { type NodeAddress, type Session, withinLimit, withSession } from "./session.ts";

export interface PushOptions {
  /** The operator's repository, and the state of what its owner trusts. */
  repository: string;
  trust: string;
  product: string;
  channel: string;
  /** Refuses to send anything but this, where the channel releases something else by now. */
  image?: Digest;
  /** The beginning of the digest of a version that was released before: that is sent, so that the node can go back to it. */
  earlier?: string | undefined;
  node: NodeAddress;
  /** Never ask anybody for a passphrase. */
  unattended?: boolean;
  /** Directories on the node: what its hostd reads as its repository, and hostd's state. */
  remote: string;
  remoteState: string;
  now: () => Date;
  progress: Progress;
  signal: AbortSignal;
}

export interface Pushed {
  /** What the channel releases; nothing where an earlier version was sent. */
  release?: Release;
  image: Digest;
  /** Whether activating it starts the node anew. */
  host: boolean;
  sent: { files: number; bytes: number };
  /** Files that the node had already. */
  present: number;
}

/**
 * Sends a node over SFTP what it lacks of a product's release: blobs by content, then what names them, the timestamp
 * last. Nothing that runs changes, and the node believes none of it: it verifies everything when it stages.
 */
export async function push(options: PushOptions): Promise<Pushed> {
  const { repository, channel, unattended = false, signal } = options;
  const release = options.earlier === undefined ? await verifiedRelease(options) : undefined;
  if (release !== undefined && options.image !== undefined && options.image !== release.image.digest) {
    throw moved(release, channel);
  }
  const image = release?.image.digest ?? (await earlierImage(repository, options.earlier ?? ""));
  const { files, host } = await contentsOf(repository, image);
  return await withSession(options.node, { unattended, signal }, async (session) => {
    const present = await askWhatIsThere(session, files, options);
    const missing = missingFiles(files, present);
    await session.sftp(makeDirectoriesBatch(options.remote, directoriesFor(files)));
    const bytes = await sendAll(session, missing, present, options);
    return {
      ...(release === undefined ? {} : { release }),
      image,
      host,
      sent: { files: missing.length, bytes },
      present: files.length - missing.length,
    };
  });
}

/** What a channel releases of a product, and whether that is the nodes' system. Refuses (`not-released`) where it is nothing. */
export async function releaseOf(options: ReleaseOptions): Promise<{ release: Release; host: boolean }> {
  const release = await verifiedRelease(options);
  const { host } = await contentsOf(options.repository, release.image.digest);
  return { release, host };
}

/** The whole digest of an image of the repository. The node judges by itself whether it may come back. */
async function earlierImage(repository: string, wanted: string): Promise<Digest> {
  const hex = wanted.replace(/^sha256:/, "");
  const blobs = /^[0-9a-f]{6,64}$/.test(hex) ? await readdir(join(repository, BLOBS)) : [];
  const [found, ...others] = blobs.filter((name) => name.startsWith(hex) && isDigest(`sha256:${name}`));
  if (found !== undefined && others.length === 0) return digestFromHex(found);
  throw new FleetError(
    "not-released",
    `${repository}: expected one image ${wanted}, found ${others.length || "none"}`,
    {
      hint: "ostler history --on NODE has the digests of what ran there",
    },
  );
}

type ReleaseOptions = Pick<PushOptions, "repository" | "trust" | "product" | "channel" | "now">;

async function verifiedRelease({
  repository,
  trust: directory,
  product,
  channel,
  now,
}: ReleaseOptions): Promise<Release> {
  const trust = await openTrust({ source: openSource(repository), directory, now });
  const release = await trust.release(channel, product);
  if (release === undefined) throw unreleased(product, channel);
  return release;
}

async function askWhatIsThere(
  session: Session,
  files: readonly RepositoryFile[],
  options: PushOptions,
): Promise<Present> {
  const { remote, remoteState } = options;
  const kept = [`${remoteState}/layers`, `${remoteState}/host/parts`];
  const directories = directoriesFor(files).map((directory) => (directory === "" ? remote : `${remote}/${directory}`));
  const names = parseListing(await session.sftp(listBatch([...directories, ...kept])));
  const below = (directory: string) =>
    new Set(names.filter((name) => name.startsWith(`${directory}/`)).map((name) => name.slice(directory.length + 1)));
  const state = below(remoteState);
  for (const root of await damagedLayers(session, options.signal)) state.delete(`layers/${root}.erofs`);
  return { repository: below(remote), state };
}

/** Layers that the node knows to be damaged: to repair them it needs their blobs again. Recovery has no hostd to ask. */
async function damagedLayers({ socket }: Session, signal: AbortSignal): Promise<string[]> {
  const status = await withinLimit(socket, signal, (client) => client.status()).catch(() => undefined);
  return unrepaired(status?.scrub).map(({ what }) => what);
}

async function sendAll(
  session: Session,
  missing: readonly RepositoryFile[],
  present: Present,
  { repository, remote, progress, product }: PushOptions,
): Promise<number> {
  const sizes = await Promise.all(missing.map(async ({ path }) => (await stat(join(repository, path))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const started = Date.now();
  let sent = 0;
  for (const [index, file] of missing.entries()) {
    const text = `send ${product}: ${bytes(sent)} of ${bytes(total)}`;
    progress({ id: "push", state: "started", text, fraction: total === 0 ? 1 : sent / total });
    await session.sftp(sendBatch(file, repository, remote, present));
    sent += sizes[index] ?? 0;
  }
  progress({ id: "push", state: "done", text: `send ${product}: ${bytes(total)}`, took: Date.now() - started });
  return sent;
}

function moved({ product, version }: Release, channel: string): FleetError {
  return new FleetError("release-moved", `${product}: ${channel} releases ${version} meanwhile`, {
    hint: "ostler rollout start with the same file rolls that one out",
  });
}

function unreleased(product: string, channel: string): FleetError {
  return new FleetError("not-released", `${product}: expected a release in ${channel}, found none`, {
    hint: `ostler promote ${product} --to ${channel}`,
  });
}
