import { join } from "node:path";
import { withLock } from "../../effects/lock.ts";
import { openSource } from "../../effects/source.ts";
import { type Home, openSigners, readKeys } from "../../keys/authority.ts";
import type { Sealer } from "../../keys/seal.ts";
import { openTrust, type Trust } from "../../keys/trust.ts";
import type { Digest } from "../../manifests/digest.ts";
import { canonicalJson } from "../../manifests/document.ts";
import type { Policy } from "../../manifests/policy.ts";
import { staleRepository } from "./error.ts";

export interface PolicyRequest {
  home: Home;
  sealer: Sealer | undefined;
  now: Date;
  /** The next policy, made from the one in force. */
  change: (policy: Policy) => Policy;
}

/** The policy in force, verified as a node does. Throws TrustError, and PromoteError `repository-stale` where it has expired. */
export async function readPolicy(where: Pick<PolicyRequest, "home" | "now">): Promise<Policy> {
  return (await openFresh(where)).policy;
}

/**
 * Publishes another policy through the targets role; nodes follow it from their next look on. Refuses one that they
 * would refuse, with nothing changed. Answers whether it differs from the one before.
 */
export async function changePolicy(request: PolicyRequest): Promise<{ changed: boolean; policy: Policy }> {
  const { home, sealer, now, change } = request;
  return await withLock(join(home.repository, "promote"), async () => {
    const trust = await openFresh(request);
    const policy = change(trust.policy);
    trust.check(policy);
    if (canonicalJson(policy) === canonicalJson(trust.policy)) return { changed: false, policy };
    const signers = await openSigners(await readKeys(home.keys), ["targets", "snapshot", "timestamp"], sealer);
    const { publishTargets } = await import("../../keys/tuf/repository.ts");
    await publishTargets({ directory: home.repository, signers, now }, { policy });
    await openFresh(request); // the home holds it from now on
    return { changed: true, policy };
  });
}

async function openFresh({ home, now }: Pick<PolicyRequest, "home" | "now">): Promise<Trust> {
  const trust = await openTrust({ source: openSource(home.repository), directory: home.trust, now: () => now });
  if (trust.fresh) return trust;
  throw staleRepository(home.repository, trust.staleReason, "where the timestamp's key is");
}

/** A policy that lists an image as revoked; another reason takes the place of an older one. */
export function withRevoked(policy: Policy, digest: Digest, reason: string): Policy {
  if (policy.revoked.some((one) => one.digest === digest && one.reason === reason)) return policy;
  return { ...policy, revoked: [...policy.revoked.filter((one) => one.digest !== digest), { digest, reason }] };
}
