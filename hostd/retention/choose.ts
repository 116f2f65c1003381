import type { Digest } from "../../manifests/digest.ts";
import type { SlotState } from "../../manifests/node.ts";

export interface Kept {
  image: Digest;
  state: SlotState;
  pinned: boolean;
}

export interface RetentionInput {
  /** Newest first. */
  slots: readonly Kept[];
  /** Images of the current generation, the one before it, and the one a rollback leads to. */
  inUse: readonly (Digest | undefined)[];
  /** Newest versions to keep. */
  keep: number;
}

/**
 * The slots that may be collected: beyond the newest `keep`, never one that runs, is on trial, is pinned, is the last
 * good one or the rollback target. A failed version is of no use to anybody, so it does not count as one of the newest.
 */
export function chooseCollected({ slots, inUse, keep }: RetentionInput): Digest[] {
  const lastGood = slots.find((slot) => slot.state === "good")?.image;
  const newest = slots.filter((slot) => slot.state !== "failed").slice(0, keep);
  return slots
    .filter((slot) => !slot.pinned && slot.state !== "trial" && slot.image !== lastGood)
    .filter((slot) => !inUse.includes(slot.image) && !newest.includes(slot))
    .map((slot) => slot.image);
}
