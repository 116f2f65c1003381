import type { Policy } from "../manifests/policy.ts";
import { importPublicKey, shortKeyid } from "./ed25519.ts";
import { TrustError } from "./error.ts";

/** A key as a policy or TUF metadata assigns it to a role. */
export interface Assignment {
  role: string;
  /** The key's name in that document; must be the SHA-256 of the key. */
  keyid: string;
  /** Raw public key, hex. */
  public: string;
}

/**
 * What is wrong with who holds which role; empty when all is well. One key holds one role, so that no key's loss
 * gives two; keys that import refuses (small order, wrong encoding, wrong name) hold none.
 */
export function findRoleProblems(assignments: readonly Assignment[]): string[] {
  const problems = assignments.flatMap(findKeyProblems);
  const roles = Map.groupBy(assignments, (assignment) => assignment.public);
  for (const [key, held] of roles) {
    if (held.length === 1) continue;
    const names = held.map(({ role }) => role).join(" and ");
    problems.push(`key ${shortKeyid(held[0]?.keyid ?? key)}: expected one role, got ${names}`);
  }
  return problems;
}

/** Who a policy says builds and tests. */
export function policyAssignments(policy: Policy): Assignment[] {
  return [
    ...policy.builders.map((key) => ({ role: "builder", ...key })),
    ...policy.testers.map((key) => ({ role: "tester", ...key })),
  ];
}

function findKeyProblems({ role, keyid, public: hex }: Assignment): string[] {
  try {
    const key = importPublicKey(hex);
    if (key.keyid === keyid) return [];
    return [`role ${role}: expected keyid ${shortKeyid(key.keyid)} for its key, got ${shortKeyid(keyid)}`];
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    return [`role ${role}: ${error.message}`];
  }
}
