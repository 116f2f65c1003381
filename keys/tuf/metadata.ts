import { createHash } from "node:crypto";
import { Metadata, MetaFile, Root, Signature, Snapshot, Targets, Timestamp } from "@tufjs/models";
import { importPublicKey, type PublicKey, shortKeyid } from "../ed25519.ts";
import { TrustError } from "../error.ts";
import type { Signer } from "../signer.ts";
import { expiryOf } from "./lifetimes.ts";

const SPEC_VERSION = "1.0.34";

/** The keys of a role and how many of them must sign. */
export interface RoleKeys {
  keys: readonly PublicKey[];
  threshold: number;
}

/** Roles that root delegates to; channels are delegated by targets. */
export const TOP_ROLES = ["root", "targets", "snapshot", "timestamp"] as const;
export type TopRole = (typeof TOP_ROLES)[number];

/** Metadata of any role. */
export type AnyMetadata = Metadata<Root> | Metadata<Targets> | Metadata<Snapshot> | Metadata<Timestamp>;

export function makeRoot(version: number, roles: Readonly<Record<TopRole, RoleKeys>>, now: Date): Metadata<Root> {
  const json = {
    _type: "root",
    spec_version: SPEC_VERSION,
    version,
    expires: expiryOf("root", now),
    consistent_snapshot: true,
    keys: keysToJson(Object.values(roles)),
    roles: Object.fromEntries(TOP_ROLES.map((name) => [name, roleToJson(roles[name])])),
  };
  return new Metadata(Root.fromJSON(json));
}

/** Who holds the top roles in a root. */
export function rolesOf(root: Metadata<Root>): Record<TopRole, RoleKeys> {
  const { keys, roles } = root.signed;
  const roleOf = (name: TopRole): RoleKeys => {
    const { keyIDs = [], threshold = 1 } = roles[name] ?? {};
    return { keys: keyIDs.map((keyid) => importPublicKey(keys[keyid]?.keyVal["public"] ?? "")), threshold };
  };
  return {
    root: roleOf("root"),
    targets: roleOf("targets"),
    snapshot: roleOf("snapshot"),
    timestamp: roleOf("timestamp"),
  };
}

/** Delegations to channels: each signs the targets below its own name, and nothing after it is asked. */
export function makeDelegations(channels: Readonly<Record<string, RoleKeys>>): Targets["delegations"] {
  const roles = Object.entries(channels).map(([name, role]) => {
    return { name, ...roleToJson(role), paths: [`${name}/*`], terminating: true };
  });
  const json = { keys: keysToJson(Object.values(channels)), roles };
  const base = { _type: "targets", spec_version: SPEC_VERSION, version: 1, expires: "2000-01-01T00:00:00Z" };
  return Targets.fromJSON({ ...base, targets: {}, delegations: json }).delegations;
}

export function makeTargets(
  version: number,
  targets: Targets["targets"],
  delegations: Targets["delegations"],
  now: Date,
): Metadata<Targets> {
  const common = { version, specVersion: SPEC_VERSION, expires: expiryOf("targets", now) };
  return new Metadata(new Targets({ ...common, targets, ...(delegations === undefined ? {} : { delegations }) }));
}

export function makeSnapshot(version: number, meta: Record<string, MetaFile>, now: Date): Metadata<Snapshot> {
  return new Metadata(new Snapshot({ version, specVersion: SPEC_VERSION, expires: expiryOf("snapshot", now), meta }));
}

export function makeTimestamp(version: number, snapshotMeta: MetaFile, now: Date): Metadata<Timestamp> {
  const common = { version, specVersion: SPEC_VERSION, expires: expiryOf("timestamp", now) };
  return new Metadata(new Timestamp({ ...common, snapshotMeta }));
}

/** How a parent names a version of metadata: version, length and hash. */
export function metaOf(metadata: AnyMetadata, bytes: Buffer): MetaFile {
  return new MetaFile({ version: metadata.signed.version, length: bytes.length, hashes: { sha256: sha256(bytes) } });
}

/**
 * Signs metadata with every given signer that its delegator accepts for the role, and gives its bytes. Throws
 * `key-missing` unless the delegator then accepts it, so nothing is ever published that clients would refuse.
 */
export function signFor(
  metadata: AnyMetadata,
  role: string,
  delegator: Metadata<Root> | Metadata<Targets>,
  signers: readonly Signer[],
): Buffer {
  for (const signer of signers) addSignature(metadata, signer);
  if (!isAccepted(metadata, role, delegator)) {
    const names = signers.map(({ key }) => shortKeyid(key.keyid)).join(", ") || "none";
    throw new TrustError("key-missing", `role ${role}: expected enough keys that may sign it, got ${names}`, {
      hint: "`ostler keys list` shows which keys are here; --home names another home",
      details: { role },
    });
  }
  return bytesOf(metadata);
}

export function addSignature(metadata: AnyMetadata, { key, sign }: Signer): void {
  metadata.sign((data) => new Signature({ keyID: key.keyid, sig: sign(data).toString("hex") }), true);
}

export function isAccepted(metadata: AnyMetadata, role: string, delegator: Metadata<Root> | Metadata<Targets>) {
  try {
    delegator.verifyDelegate(role, metadata);
    return true;
  } catch {
    return false;
  }
}

export function bytesOf(metadata: AnyMetadata): Buffer {
  return Buffer.from(`${JSON.stringify(metadata.toJSON(), null, 1)}\n`);
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function keysToJson(roles: readonly RoleKeys[]) {
  const keys = roles.flatMap((role) => role.keys);
  return Object.fromEntries(keys.map((key) => [key.keyid, keyToJson(key)]));
}

function keyToJson(key: PublicKey) {
  return { keytype: "ed25519", scheme: "ed25519", keyval: { public: key.hex } };
}

function roleToJson({ keys, threshold }: RoleKeys) {
  return { keyids: keys.map(({ keyid }) => keyid), threshold };
}
