import type { Metadata, Targets } from "@tufjs/models";
import { POLICY_PATH, type Policy } from "../../../manifests/policy.ts";
import { makeDelegations, makeTargets, type RoleKeys } from "../metadata.ts";
import { planDocument, planMetadata, type RepositoryState, type Signers, type Write } from "./metadata.ts";

/** What the targets role publishes: the policy, and who holds the channels. What is not given stays. */
export interface TargetsChange {
  policy?: Policy;
  /** All channels with their keys. */
  channels?: Readonly<Record<string, RoleKeys>>;
}

/** A new policy, or channels with other keys: their releases stay and are signed anew by the new keys. */
export function planTargets(state: RepositoryState, change: TargetsChange, signers: Signers, now: Date): Write[] {
  const old = state.targets.signed;
  const document = change.policy === undefined ? undefined : planDocument(POLICY_PATH, change.policy);
  const documents = document === undefined ? old.targets : { ...old.targets, [POLICY_PATH]: document.target };
  const delegations = change.channels === undefined ? old.delegations : makeDelegations(change.channels);
  const targets = makeTargets(old.version + 1, documents, delegations, now);
  const channels = Object.keys(change.channels ?? {}).map((name) => [name, renewChannel(state, name, now)] as const);
  const changed = new Map([["targets", targets], ...channels]);
  const { writes } = planMetadata({ ...state, targets }, changed, signers, now);
  return document === undefined ? writes : [document.write, ...writes];
}

function renewChannel(state: RepositoryState, name: string, now: Date): Metadata<Targets> {
  const version = state.snapshot.signed.meta[`${name}.json`]?.version ?? 0;
  return makeTargets(version + 1, state.channels.get(name)?.signed.targets ?? {}, undefined, now);
}
