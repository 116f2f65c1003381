import { type Metadata, type Root, type Snapshot, TargetFile, type Targets, type Timestamp } from "@tufjs/models";
import { canonicalJson } from "../../../manifests/document.ts";
import type { Signer } from "../../signer.ts";
import { targetPath } from "../document.ts";
import { makeSnapshot, makeTimestamp, metaOf, sha256, signFor } from "../metadata.ts";

// Publishing, decided as values: each plan is a list of files to write in that order. Invariants:
//  1. A file that clients can already be led to is never changed, but for timestamp.json, which is replaced whole.
//  2. timestamp.json comes after everything it leads to, so a publisher killed between two writes leaves the old state.
//  3. Nothing is planned that its delegator would not accept.

/** A file of the repository, by path from its root. */
export interface Write {
  path: string;
  bytes: Buffer;
}

/** The repository's current metadata, verified. */
export interface RepositoryState {
  root: Metadata<Root>;
  timestamp: Metadata<Timestamp>;
  snapshot: Metadata<Snapshot>;
  targets: Metadata<Targets>;
  channels: ReadonlyMap<string, Metadata<Targets>>;
}

/** The signers at hand for a role; none where its keys are elsewhere. */
export type Signers = (role: string) => readonly Signer[];

/** What planning metadata needs of the state: no snapshot and timestamp where there are none yet. */
export type MetadataState = Pick<RepositoryState, "root" | "targets"> &
  Partial<Pick<RepositoryState, "snapshot" | "timestamp">>;

export interface MetadataPlan {
  writes: Write[];
  snapshot: Metadata<Snapshot>;
  timestamp: Metadata<Timestamp>;
}

/** Signs the changed roles, then the snapshot that names them, then the timestamp that names that. */
export function planMetadata(
  state: MetadataState,
  changed: ReadonlyMap<string, Metadata<Targets>>,
  signers: Signers,
  now: Date,
): MetadataPlan {
  const meta = { ...state.snapshot?.signed.meta };
  const writes: Write[] = [];
  for (const [role, metadata] of changed) {
    const bytes = signFor(metadata, role, role === "targets" ? state.root : state.targets, signers(role));
    meta[`${role}.json`] = metaOf(metadata, bytes);
    writes.push({ path: `metadata/${metadata.signed.version}.${role}.json`, bytes });
  }
  const snapshot = makeSnapshot((state.snapshot?.signed.version ?? 0) + 1, meta, now);
  const snapshotBytes = signFor(snapshot, "snapshot", state.root, signers("snapshot"));
  writes.push({ path: `metadata/${snapshot.signed.version}.snapshot.json`, bytes: snapshotBytes });
  const version = (state.timestamp?.signed.version ?? 0) + 1;
  const timestamp = makeTimestamp(version, metaOf(snapshot, snapshotBytes), now);
  writes.push(timestampWrite(signFor(timestamp, "timestamp", state.root, signers("timestamp"))));
  return { writes, snapshot, timestamp };
}

export function timestampWrite(bytes: Buffer): Write {
  return { path: "metadata/timestamp.json", bytes };
}

/** A document as a TUF target: how metadata names it, and its file, whose name starts with its hash. */
export function planDocument(path: string, document: unknown): { target: TargetFile; write: Write } {
  const bytes = Buffer.from(canonicalJson(document));
  const target = new TargetFile({ path, length: bytes.length, hashes: { sha256: sha256(bytes) } });
  return { target, write: { path: targetPath(target), bytes } };
}
