import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncDirectory, TEMPORARY_NAME, writeDurably } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import { withLock } from "../../effects/lock.ts";
import type { Release } from "../../manifests/release.ts";
import { createDirectory } from "../directory.ts";
import { TrustError } from "../error.ts";
import { walkMetadata } from "./client.ts";
import { isHalfSpent } from "./lifetimes.ts";
import { type RoleKeys, rolesOf, type TopRole } from "./metadata.ts";
import { type Foundation, planInit } from "./plan/init.ts";
import type { RepositoryState, Signers, Write } from "./plan/metadata.ts";
import { planRefresh } from "./plan/refresh.ts";
import { planRelease } from "./plan/release.ts";
import { planRotation } from "./plan/rotation.ts";
import { planTargets, type TargetsChange } from "./plan/targets.ts";

/** What publishing needs beside what is published. */
export interface Publishing {
  /** The repository's directory. */
  directory: string;
  signers: Signers;
  now: Date;
  /** Called after each file that became durable: progress, and where tests kill the publisher. */
  onWritten?: ((path: string) => void) | undefined;
}

/** A repository holds nothing secret, and web servers read it. */
const PUBLIC_DIRECTORY_MODE = 0o755;
/** Nothing has expired at this time: a publisher must be able to renew what has. */
const BEFORE_ANY_EXPIRY = new Date(0);

/** Makes a repository, whole or not at all; refuses where there is one. */
export async function initRepository(publishing: Publishing, foundation: Foundation): Promise<void> {
  const { directory, signers, now } = publishing;
  const writes = planInit(foundation, signers, now);
  await createDirectory(directory, PUBLIC_DIRECTORY_MODE, async (staged) => {
    await applyWrites({ ...publishing, directory: staged }, writes);
  });
}

/** Publishes a release through its channel's role. */
export async function publishRelease(publishing: Publishing, release: Release): Promise<void> {
  await publish(publishing, (state) => planRelease(state, release, publishing.signers, publishing.now));
}

/** Publishes a policy, or other keys of channels, through the targets role. */
export async function publishTargets(publishing: Publishing, change: TargetsChange): Promise<void> {
  await publish(publishing, (state) => planTargets(state, change, publishing.signers, publishing.now));
}

/** Makes the repository fresh for another LIFETIME_DAYS.timestamp days (planRefresh). */
export async function refreshTimestamp(publishing: Publishing): Promise<void> {
  await publish(publishing, (state) => planRefresh(state, publishing.signers, publishing.now));
}

/** Makes everything fresh that the signers at hand can: as refreshTimestamp, and root when half of its life is spent. */
export async function refreshRepository(publishing: Publishing): Promise<void> {
  await refreshTimestamp(publishing);
  const { root } = await readRepository(publishing.directory);
  const canRenew = publishing.signers("root").length >= (root.signed.roles["root"]?.threshold ?? 0);
  if (isHalfSpent("root", root.signed.expires, publishing.now) && canRenew) await rotateRoot(publishing, rolesOf(root));
}

/** Publishes root N+1, which says who holds the roles from now on. */
export async function rotateRoot(publishing: Publishing, roles: Readonly<Record<TopRole, RoleKeys>>): Promise<void> {
  await publish(publishing, (state) => planRotation(state, roles, publishing.signers, publishing.now));
}

/** The repository's metadata, verified from its first root; expired metadata is read too. */
export async function readRepository(directory: string): Promise<RepositoryState> {
  const root = await readFirstRoot(directory);
  const fetch = (path: string) => unlessMissing(readFile(join(directory, path)));
  const { store, targets, channels: walked } = await walkMetadata(fetch, new Map([["root", root]]), BEFORE_ANY_EXPIRY);
  const { timestamp, snapshot } = store;
  if (timestamp === undefined || snapshot === undefined) {
    throw new TrustError("metadata-missing", `${directory}: expected timestamp and snapshot metadata, got none`);
  }
  const channels = new Map([...walked].map(([name, role]) => [name, unlessRefused(role)] as const));
  return { root: store.root, timestamp, snapshot, targets, channels };
}

/** The root that nodes are seeded with. */
export async function readFirstRoot(directory: string): Promise<Buffer> {
  const root = await unlessMissing(readFile(join(directory, "metadata/1.root.json")));
  if (root !== undefined) return root;
  throw new TrustError("repository-missing", `${directory}: expected a repository, got no metadata/1.root.json`, {
    hint: "`ostler keys init` makes one; --repository names another",
  });
}

async function publish(publishing: Publishing, plan: (state: RepositoryState) => Write[]): Promise<void> {
  const metadata = join(publishing.directory, "metadata");
  await readFirstRoot(publishing.directory);
  await withLock(metadata, async () => {
    const writes = plan(await readRepository(publishing.directory));
    await removeLeftovers(metadata);
    await applyWrites(publishing, writes);
  });
}

async function applyWrites({ directory, onWritten }: Publishing, writes: readonly Write[]): Promise<void> {
  for (const { path, bytes } of writes) {
    const file = join(directory, path);
    await makeDirectory(dirname(file));
    await writeDurably(file, bytes);
    onWritten?.(path);
  }
}

/** Makes a directory whose name is durable in each parent that had to be made. */
async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true });
  if (first === undefined) return;
  for (let made = directory; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
}

/** Temporary files of publishers that were killed. */
async function removeLeftovers(directory: string): Promise<void> {
  const names = await readdir(directory);
  for (const name of names.filter((name) => TEMPORARY_NAME.test(name))) await rm(join(directory, name));
}

function unlessRefused<T>(role: T | TrustError): T {
  if (role instanceof TrustError) throw role;
  return role;
}
