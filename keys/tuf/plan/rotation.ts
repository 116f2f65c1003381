import { isAccepted, makeRoot, makeTargets, type RoleKeys, signFor, type TopRole } from "../metadata.ts";
import { planMetadata, type RepositoryState, type Signers, type Write } from "./metadata.ts";

/**
 * Root N+1 with the given roles, signed by the keys of root N and by its own (TUF specification 5.3.4). Metadata whose
 * keys change is signed by old and new keys and comes before the new root, so that clients on either root can read it;
 * where the old keys are gone, the new root comes first and clients hold what they have until the rest is there.
 */
export function planRotation(
  state: RepositoryState,
  roles: Readonly<Record<TopRole, RoleKeys>>,
  signers: Signers,
  now: Date,
): Write[] {
  const next = makeRoot(state.root.signed.version + 1, roles, now);
  signFor(next, "root", state.root, signers("root"));
  const bytes = signFor(next, "root", next, signers("root"));
  const root: Write = { path: `metadata/${next.signed.version}.root.json`, bytes };
  const current = [state.targets, state.snapshot, state.timestamp];
  if (current.every((metadata) => isAccepted(metadata, metadata.signed.type, next))) return [root];

  const { version, targets: documents, delegations } = state.targets.signed;
  const targets = makeTargets(version + 1, documents, delegations, now);
  const changed = new Map([["targets", targets]]);
  const { writes, snapshot, timestamp } = planMetadata({ ...state, root: next, targets }, changed, signers, now);
  const renewed = [targets, snapshot, timestamp];
  const isReadableBefore = renewed.every((metadata) => isAccepted(metadata, metadata.signed.type, state.root));
  return isReadableBefore ? [...writes, root] : [root, ...writes];
}
