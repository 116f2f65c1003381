import { isHalfSpent } from "../lifetimes.ts";
import { makeTimestamp, signFor } from "../metadata.ts";
import { planMetadata, type RepositoryState, type Signers, timestampWrite, type Write } from "./metadata.ts";

/** A new timestamp; a new snapshot too when half of its life is spent. */
export function planRefresh(state: RepositoryState, signers: Signers, now: Date): Write[] {
  if (isHalfSpent("snapshot", state.snapshot.signed.expires, now)) {
    return planMetadata(state, new Map(), signers, now).writes;
  }
  const { version, snapshotMeta } = state.timestamp.signed;
  const renewed = makeTimestamp(version + 1, snapshotMeta, now);
  return [timestampWrite(signFor(renewed, "timestamp", state.root, signers("timestamp")))];
}
