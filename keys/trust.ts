import { mkdir, readFile } from "node:fs/promises";
import type { TargetFile } from "@tufjs/models";
import { writeDurably } from "../effects/durable.ts";
import { unlessMissing } from "../effects/errno.ts";
import { type Source, SourceError } from "../effects/source.ts";
import { DocumentError } from "../manifests/document.ts";
import { Failure } from "../manifests/failure.ts";
import { POLICY_PATH, type Policy, parsePolicy } from "../manifests/policy.ts";
import { parseRelease, type Release, releasePath } from "../manifests/release.ts";
import { TrustError } from "./error.ts";
import { type Assignment, findRoleProblems, policyAssignments } from "./roles.ts";
import { readTrustState, seedPath, type TrustState, writeTrustState } from "./truststate.ts";
import type { Fetch, Walk } from "./tuf/client.ts";
import { hashOf, readDocument } from "./tuf/document.ts";

/** What a client trusts: the policy, and each channel's releases, all verified from the root down. */
export interface Trust {
  /** False when the repository could not be read or has expired: nothing new may be installed, what runs goes on. */
  readonly fresh: boolean;
  /** Why it is not fresh. */
  readonly staleReason?: string;
  readonly policy: Policy;
  /** Channels that the root's targets delegate to. */
  readonly channels: readonly string[];
  /** When the timestamp expires. */
  readonly expires: Date;
  /**
   * The release of a product, through its channel's delegated role alone; undefined where it has none. Throws
   * TrustError when the role or the document is refused.
   */
  release(channel: string, product: string): Promise<Release | undefined>;
  /** Throws TrustError `key-roles` for a policy that every client would refuse, were it published. */
  check(policy: Policy): void;
}

export interface TrustOptions {
  source: Source;
  /** The client's own directory, seeded once with a root (seedTrust). */
  directory: string;
  now: () => Date;
}

/** Held metadata was in time when it was accepted; falling back to it must not depend on the clock. */
const BEFORE_ANY_EXPIRY = new Date(0);
/** What of an expired or unreachable repository is no attack: the client goes on with what it holds. */
const STALE_CODES: readonly string[] = ["metadata-expired", "metadata-missing", "source-unreachable"];

/**
 * Walks root, timestamp, snapshot, targets and channels of the repository; the same code on laptop and node. Where
 * the repository is unreachable or expired, what was verified before is used with fresh=false. Anything that was
 * tampered with is refused with a TrustError that names the rule and the role.
 */
export async function openTrust({ source, directory, now }: TrustOptions): Promise<Trust> {
  const { checkRoot, walkMetadata } = await import("./tuf/client.ts");
  const state = await readTrustState(directory, checkRoot);
  const fetch = fetchFrom(source);
  try {
    const walk = await walkMetadata(fetch, state.newest, now());
    const read = (target: TargetFile) => readDocument(state.documents, fetch, target);
    const policy = await readPolicy(walk, read);
    keepComplete(state, walk);
    return makeTrust(walk, policy, async (target) => {
      const bytes = await read(target);
      await writeTrustState(directory, state);
      return bytes;
    });
  } catch (error) {
    if (!isStale(error)) throw error;
    return await openHeld(state, error.message, source.location);
  } finally {
    await writeTrustState(directory, state);
  }
}

/** What was verified here before, without asking any repository: enough for status and for rollbacks. */
export async function openHeldTrust(directory: string): Promise<Trust> {
  const { checkRoot } = await import("./tuf/client.ts");
  return await openHeld(await readTrustState(directory, checkRoot), "the repository was not asked");
}

/** Gives a client's directory its first root, once. Refuses bytes that are no self-signed root, and a second root. */
export async function seedTrust(directory: string, root: Uint8Array): Promise<void> {
  const bytes = Buffer.from(root);
  const present = await unlessMissing(readFile(seedPath(directory)));
  if (present?.equals(bytes)) return;
  const { checkRoot } = await import("./tuf/client.ts");
  checkRoot(bytes);
  if (present !== undefined) {
    throw new TrustError("already-seeded", `${directory}: expected no root.json or the same one, got another root`, {
      hint: "a client follows one root; to trust another one, give it an empty directory",
    });
  }
  await mkdir(directory, { recursive: true });
  await writeDurably(seedPath(directory), bytes);
}

async function openHeld(state: TrustState, reason: string, location = "the repository"): Promise<Trust> {
  const { walkMetadata } = await import("./tuf/client.ts");
  const lacking = (what: string) => {
    const message = `${location}: expected fresh metadata, as ${what} was never verified here, got: ${reason}`;
    return new TrustError("metadata-missing", message, {
      hint: "make it reachable and fresh once: `ostler keys refresh` where the timestamp's key is; --repository names another",
    });
  };
  if (state.complete === undefined) throw lacking("it");
  const held = new Map(state.complete);
  const fetch: Fetch = async (path) => (path === "metadata/timestamp.json" ? held.get("timestamp") : undefined);
  const walk = await walkMetadata(fetch, held, BEFORE_ANY_EXPIRY);
  const read = async (target: TargetFile) =>
    await readDocument(state.documents, () => Promise.reject(lacking(target.path)), target);
  return makeTrust(walk, await readPolicy(walk, read), read, reason);
}

type ReadTarget = (target: TargetFile) => Promise<Buffer>;

function makeTrust(walk: Walk, policy: Policy, read: ReadTarget, staleReason?: string): Trust {
  return {
    fresh: staleReason === undefined,
    ...(staleReason === undefined ? {} : { staleReason }),
    policy,
    channels: [...walk.channels.keys()],
    expires: new Date(walk.store.timestamp?.signed.expires ?? 0),
    async release(channel, product) {
      const target = findTarget(walk, channel, releasePath(channel, product));
      return target && checkRelease(await read(target), channel, product);
    },
    check: (other) => checkRoles(walk, other),
  };
}

/** A target of a channel's role, if targets delegates that path to it. */
function findTarget(walk: Walk, channel: string, path: string): TargetFile | undefined {
  const role = walk.channels.get(channel);
  if (role === undefined) {
    const known = [...walk.channels.keys()].join(" or ") || "none";
    throw new TrustError("release", `channel ${channel}: expected a channel that targets delegates to: ${known}`);
  }
  if (role instanceof TrustError) throw role;
  const isDelegated = walk.targets.signed.delegations?.roles?.[channel]?.isDelegatedPath(path) === true;
  if (!isDelegated) throw new TrustError("release", `role ${channel}: expected a delegation of ${path}, got none`);
  return Object.hasOwn(role.signed.targets, path) ? role.signed.targets[path] : undefined;
}

function checkRelease(bytes: Buffer, channel: string, product: string): Release {
  const release = parseAs("release", () => parseRelease(bytes));
  if (release.channel === channel && release.product === product) return release;
  const found = `${release.product} in ${release.channel}`;
  throw new TrustError("release", `role ${channel}: expected the release of ${product} in ${channel}, got ${found}`);
}

async function readPolicy(walk: Walk, read: ReadTarget): Promise<Policy> {
  const target = walk.targets.signed.targets[POLICY_PATH];
  if (target === undefined) throw new TrustError("policy", `role targets: expected the target ${POLICY_PATH}`);
  const bytes = await read(target);
  const policy = parseAs("policy", () => parsePolicy(bytes));
  checkRoles(walk, policy);
  return policy;
}

function checkRoles(walk: Walk, policy: Policy): void {
  const problems = findRoleProblems([...roleAssignments(walk), ...policyAssignments(policy)]);
  if (problems.length === 0) return;
  throw new TrustError("key-roles", problems.join("; "), {
    hint: "publish a root and a policy in which each key holds one role",
    details: { rule: "key-roles", role: "root" },
  });
}

/** Who root and targets say holds their roles. */
function roleAssignments({ store, targets }: Walk): Assignment[] {
  const { delegations } = targets.signed;
  return [store.root.signed, { keys: delegations?.keys ?? {}, roles: delegations?.roles ?? {} }].flatMap(
    ({ keys, roles }) =>
      Object.entries(roles).flatMap(([role, { keyIDs }]) =>
        keyIDs.map((keyid) => ({ role, keyid, public: keys[keyid]?.keyVal["public"] ?? "" })),
      ),
  );
}

/** Remembers a walk in which nothing was refused, and only the documents that it names. */
function keepComplete(state: TrustState, walk: Walk): void {
  const roles = [...walk.channels.values()];
  if (roles.some((role) => role instanceof TrustError)) return;
  const names = new Set(["root", "timestamp", "snapshot", "targets", ...walk.channels.keys()]);
  state.complete = new Map([...state.newest].filter(([name]) => names.has(name)));
  const named = [walk.targets, ...roles].flatMap((role) => {
    return role instanceof TrustError ? [] : Object.values(role.signed.targets).map(hashOf);
  });
  for (const hash of state.documents.keys()) if (!named.includes(hash)) state.documents.delete(hash);
}

/** Reads of the repository, where whatever goes wrong is either "unreachable" or a refusal. */
function fetchFrom(source: Source): Fetch {
  return async (path, limit) => {
    try {
      return await source.read(path, limit);
    } catch (error) {
      if (!(error instanceof Failure)) {
        throw new SourceError("source-unreachable", `${source.location}/${path}: ${(error as Error).message}`, error);
      }
      if (error.code !== "source-too-large") throw error; // also one that the caller gave for the end
      throw new TrustError("metadata-hash", error.message, { cause: error, details: { rule: "metadata-hash", path } });
    }
  };
}

function isStale(error: unknown): error is Failure {
  return error instanceof Failure && STALE_CODES.includes(error.code);
}

function parseAs<T>(code: "policy" | "release", parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    throw new TrustError(code, error.message, { cause: error, details: { rule: code } });
  }
}
