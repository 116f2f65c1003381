import { POLICY_PATH, type Policy } from "../../../manifests/policy.ts";
import { makeDelegations, makeRoot, makeTargets, type RoleKeys, signFor, type TopRole } from "../metadata.ts";
import { planDocument, planMetadata, type Signers, type Write } from "./metadata.ts";

/** Who signs what in a repository, and its first policy. */
export interface Foundation {
  roles: Readonly<Record<TopRole, RoleKeys>>;
  channels: Readonly<Record<string, RoleKeys>>;
  policy: Policy;
}

/** The first version of everything: root, policy, channels without releases. */
export function planInit({ roles, channels, policy }: Foundation, signers: Signers, now: Date): Write[] {
  const root = makeRoot(1, roles, now);
  const rootBytes = signFor(root, "root", root, signers("root"));
  const document = planDocument(POLICY_PATH, policy);
  const targets = makeTargets(1, { [POLICY_PATH]: document.target }, makeDelegations(channels), now);
  const empty = Object.keys(channels).map((name) => [name, makeTargets(1, {}, undefined, now)] as const);
  const { writes } = planMetadata({ root, targets }, new Map([["targets", targets], ...empty]), signers, now);
  return [{ path: "metadata/1.root.json", bytes: rootBytes }, document.write, ...writes];
}
