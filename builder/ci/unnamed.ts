import { openSource } from "../../effects/source.ts";
import type { Home } from "../../keys/authority.ts";
import { shortKeyid } from "../../keys/ed25519.ts";
import type { Signer } from "../../keys/signer.ts";
import { openTrust } from "../../keys/trust.ts";
import { Failure } from "../../manifests/failure.ts";
import type { Policy } from "../../manifests/policy.ts";

/** A key whose statements count nowhere: the policy does not name it for its role. */
export interface UnnamedKey {
  role: "builder" | "tester";
  keyid: string;
}

/** Those of the signers that the policy which this home trusts does not name; none where it has no policy at hand. */
export async function findUnnamed(
  home: Home,
  signers: Readonly<Partial<Record<UnnamedKey["role"], Signer>>>,
  now: Date,
): Promise<UnnamedKey[]> {
  const policy = await readPolicy(home, now);
  if (policy === undefined) return [];
  const named = { builder: policy.builders, tester: policy.testers };
  return (["builder", "tester"] as const).flatMap((role) => {
    const key = signers[role]?.key;
    return key === undefined || named[role].some((one) => one.public === key.hex) ? [] : [{ role, keyid: key.keyid }];
  });
}

export function describeUnnamed({ role, keyid }: UnnamedKey): string {
  const next = `use a ${role} key that it names, or name this one: \`ostler policy FILE\` publishes a policy`;
  return `not promotable: the policy does not name ${role} key ${shortKeyid(keyid)}; ${next}`;
}

/** A server that only builds has none; whether a repository is refused is for `verify` and `promote` to say. */
async function readPolicy({ repository, trust }: Home, now: Date): Promise<Policy | undefined> {
  try {
    return (await openTrust({ source: openSource(repository), directory: trust, now: () => now })).policy;
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}
