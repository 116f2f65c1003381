import type { BootEntry } from "../../images/boot/entries.ts";

/** A root that this node has a list of, and what is left of it. */
export interface Candidate {
  root: string;
  /** Its entry on the ESP; undefined where there is none, and none can be made. */
  entry: Pick<BootEntry, "number" | "tries"> | undefined;
  /** Why it cannot be booted, in words; undefined where every byte is what was signed. */
  problem: string | undefined;
}

/** A candidate that can be booted. */
export type Bootable = Candidate & { entry: Pick<BootEntry, "number" | "tries">; problem: undefined };

/**
 * The root to boot again: the one that was last good where it is whole, else the newest that was proven once. One that
 * is still counted by the loader never was, so it is not taken. Undefined where nothing on this disk can be trusted.
 */
export function chooseRoot(candidates: readonly Candidate[], good: string | undefined): Bootable | undefined {
  const isBootable = (one: Candidate): one is Bootable => one.problem === undefined && one.entry !== undefined;
  const bootable = candidates.filter(isBootable);
  const lastGood = bootable.find(({ root }) => root === good);
  const proven = bootable.filter(({ entry }) => entry.tries === undefined);
  return lastGood ?? proven.sort((a, b) => b.entry.number - a.entry.number)[0];
}
