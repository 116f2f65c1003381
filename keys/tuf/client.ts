import type { Metadata, Targets } from "@tufjs/models";
import { EqualVersionError } from "tuf-js/dist/error.js";
import { TrustedMetadataStore } from "tuf-js/dist/store.js";
import { TrustError } from "../error.ts";
import { toTrustError } from "./refusal.ts";

/** Most bytes read of each kind of metadata, and most roots walked at once. */
const LIMITS = {
  root: 512_000,
  timestamp: 16_384,
  snapshot: 2_000_000,
  targets: 5_000_000,
  rootRotations: 256,
} as const;

/** Reads a file of the repository, at most `limit` bytes; undefined where there is none. */
export type Fetch = (path: string, limit: number) => Promise<Buffer | undefined>;

/** The newest accepted metadata, bytes by role name; `root` is always there. */
export type MetadataFiles = Map<string, Buffer>;

/** Metadata that was verified from the root down. A channel whose role was refused holds the refusal. */
export interface Walk {
  store: TrustedMetadataStore;
  targets: Metadata<Targets>;
  channels: ReadonlyMap<string, Metadata<Targets> | TrustError>;
}

/**
 * The TUF client workflow (specification 1.0, section 5) over tuf-js's store, which makes every check. Accepted files
 * replace those in `files` as they are accepted, so that a walk that fails later still remembers how far it came.
 * `time` decides what is expired. Throws TrustError that names the rule and the role.
 */
export async function walkMetadata(fetch: Fetch, files: MetadataFiles, time: Date): Promise<Walk> {
  const store = openStore(files, time);
  await walkRoots(store, fetch, files);
  await walkTimestamp(store, fetch, files, time);
  await walkSnapshot(store, fetch, files);
  await walkTargets(store, fetch, files, "targets", "root");
  const { targets } = store;
  if (targets === undefined) throw new TrustError("metadata-missing", "targets: expected metadata, got none");
  const channels = new Map<string, Metadata<Targets> | TrustError>();
  for (const role of Object.keys(targets.signed.delegations?.roles ?? {})) {
    channels.set(role, await walkChannel(store, fetch, files, role));
  }
  return { store, targets, channels };
}

/** Refuses bytes that are no root metadata signed by its own keys. */
export function checkRoot(bytes: Buffer): void {
  openStore(new Map([["root", bytes]]), new Date(0));
}

/** 5.1 and 5.2: the fixed time and the trusted root. */
function openStore(files: MetadataFiles, time: Date): TrustedMetadataStore {
  const root = files.get("root") ?? Buffer.alloc(0);
  const store = accept("root", "trusted root", root, () => new TrustedMetadataStore(root));
  return Object.assign(store, { referenceTime: time });
}

/** 5.3: every newer root, one by one, each signed by its predecessor's keys and its own. */
async function walkRoots(store: TrustedMetadataStore, fetch: Fetch, files: MetadataFiles): Promise<void> {
  for (let walked = 0; walked < LIMITS.rootRotations; walked += 1) {
    const path = `metadata/${store.root.signed.version + 1}.root.json`;
    const bytes = await fetch(path, LIMITS.root);
    if (bytes === undefined) return;
    accept("root", path, bytes, () => store.updateRoot(bytes));
    files.set("root", bytes);
  }
}

/** 5.4: the newest timestamp, never older than the one held, not expired. */
async function walkTimestamp(store: TrustedMetadataStore, fetch: Fetch, files: MetadataFiles, time: Date) {
  tryHeld(files.get("timestamp"), (held) => store.updateTimestamp(held));
  const path = "metadata/timestamp.json";
  const bytes = await fetchRequired(fetch, path, LIMITS.timestamp);
  const isNewer = accept("timestamp", path, bytes, () => {
    try {
      return store.updateTimestamp(bytes) !== undefined;
    } catch (error) {
      if (error instanceof EqualVersionError) return false;
      throw error;
    }
  });
  if (isNewer) files.set("timestamp", bytes);
  const { timestamp } = store;
  if (timestamp?.signed.isExpired(time)) {
    throw new TrustError("metadata-expired", `role timestamp: expired ${timestamp.signed.expires}`);
  }
}

/** 5.5: the snapshot that the timestamp names. */
async function walkSnapshot(store: TrustedMetadataStore, fetch: Fetch, files: MetadataFiles): Promise<void> {
  if (tryHeld(files.get("snapshot"), (held) => store.updateSnapshot(held, true))) return;
  const meta = store.timestamp?.signed.snapshotMeta;
  const path = `metadata/${meta?.version}.snapshot.json`;
  const bytes = await fetchRequired(fetch, path, meta?.length ?? LIMITS.snapshot);
  accept("snapshot", path, bytes, () => store.updateSnapshot(bytes));
  files.set("snapshot", bytes);
}

/** 5.6: the targets metadata of a role, in the version and with the hash that the snapshot names. */
async function walkTargets(store: TrustedMetadataStore, fetch: Fetch, files: MetadataFiles, role: string, by: string) {
  if (tryHeld(files.get(role), (held) => store.updateDelegatedTargets(held, role, by))) return;
  const meta = store.snapshot?.signed.meta[`${role}.json`];
  if (meta === undefined) {
    throw new TrustError("metadata-missing", `role ${role}: expected its version in the snapshot, got none`);
  }
  const path = `metadata/${meta.version}.${role}.json`;
  const bytes = await fetchRequired(fetch, path, meta.length ?? LIMITS.targets);
  accept(role, path, bytes, () => store.updateDelegatedTargets(bytes, role, by));
  files.set(role, bytes);
}

/** A channel's role; one that is refused is kept as its refusal, so that it does not stop the other channels. */
async function walkChannel(store: TrustedMetadataStore, fetch: Fetch, files: MetadataFiles, role: string) {
  try {
    await walkTargets(store, fetch, files, role, "targets");
  } catch (error) {
    if (error instanceof TrustError && error.outcome === "refused") return error;
    throw error;
  }
  return store.getRole(role) ?? new TrustError("metadata-missing", `role ${role}: expected metadata, got none`);
}

/** True when what is held locally is still the right version; anything else is fetched again and checked there. */
function tryHeld(held: Buffer | undefined, transition: (bytes: Buffer) => void): boolean {
  if (held === undefined) return false;
  try {
    transition(held);
    return true;
  } catch {
    return false;
  }
}

async function fetchRequired(fetch: Fetch, path: string, limit: number): Promise<Buffer> {
  const bytes = await fetch(path, limit);
  if (bytes === undefined) throw new TrustError("metadata-missing", `${path}: expected a file, got none`);
  return bytes;
}

function accept<T>(role: string, path: string, bytes: Buffer, transition: () => T): T {
  try {
    return transition();
  } catch (error) {
    throw toTrustError(error, { role, path, bytes });
  }
}
