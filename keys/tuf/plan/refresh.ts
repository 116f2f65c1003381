import type { Metadata, Targets } from "@tufjs/models";
import { isHalfSpent } from "../lifetimes.ts";
import { makeTargets, makeTimestamp, signFor } from "../metadata.ts";
import { planMetadata, type RepositoryState, type Signers, timestampWrite, type Write } from "./metadata.ts";

/**
 * A new timestamp; and anew, with the same content, what is past half of its life: where snapshot's signers are at hand
 * snapshot, and targets and channels whose signers are, too. Root is renewed by rotation.
 */
export function planRefresh(state: RepositoryState, signers: Signers, now: Date): Write[] {
  const due = [["targets", state.targets] as const, ...state.channels].filter(
    ([role, { signed }]) => isHalfSpent("targets", signed.expires, now) && signers(role).length > 0,
  );
  const isDue = due.length > 0 || isHalfSpent("snapshot", state.snapshot.signed.expires, now);
  if (!isDue || signers("snapshot").length === 0) {
    const { version, snapshotMeta } = state.timestamp.signed;
    const renewed = makeTimestamp(version + 1, snapshotMeta, now);
    return [timestampWrite(signFor(renewed, "timestamp", state.root, signers("timestamp")))];
  }
  const changed = new Map(due.map(([role, metadata]) => [role, renew(metadata, now)]));
  return planMetadata({ ...state, targets: changed.get("targets") ?? state.targets }, changed, signers, now).writes;
}

function renew({ signed }: Metadata<Targets>, now: Date): Metadata<Targets> {
  return makeTargets(signed.version + 1, signed.targets, signed.delegations, now);
}
