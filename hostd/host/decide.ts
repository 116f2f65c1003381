import type { OperationState } from "../../manifests/node.ts";
import type { StepName } from "../states.ts";

/** What hostd finds at its start about an upgrade that was under way. */
export interface Found {
  state: OperationState;
  /** The last step that was started. */
  step: StepName | undefined;
  /** Root digests: what runs, where the upgrade came from, where it leads to. */
  booted: string;
  from: string;
  root: string;
  /** Whether hostd alone is exchanged. */
  live: boolean;
  /** Whether this is still the boot that asked for the trial. */
  sameBoot: boolean;
  trials: number;
  /** What shows that the trial itself is at fault; empty where nothing does. */
  evidence: readonly string[];
}

/** `again`: the trial ended without a trace, as a power cut ends it: it is armed once more */
export type Resolution =
  | { how: "resume" }
  | { how: "again"; why: string }
  | { how: "undo"; code: "trial-failed" | "interrupted"; why: string };

/** Trials at most: the first, and three that follow ends without a trace. */
export const TRIALS = 4;

/** From this step on a boot into the target may have happened. */
const BOOTED_BY: ReadonlySet<StepName> = new Set(["arm", "reboot", "gates", "confirm", "bless"]);

/**
 * What becomes of an upgrade, by what was booted. The default is last-good until the very end, so being back there
 * means that the trial ended; being in the target means that it goes on. Every case ends in one of the two systems.
 */
export function resolveUpgrade(found: Found): Resolution {
  const { state, step, booted, from, root, live, sameBoot, trials, evidence } = found;
  if (state === "reverting" || step === undefined || !BOOTED_BY.has(step)) return { how: "resume" };
  if (booted === root) return { how: "resume" };
  if (booted !== from) {
    return {
      how: "undo",
      code: "interrupted",
      why: `${booted.slice(0, 12)} was booted, which the upgrade is not about`,
    };
  }
  if (step === "arm" || (sameBoot && !live)) return { how: "resume" };
  if (evidence.length > 0) return { how: "undo", code: "trial-failed", why: evidence.join("; ") };
  if (sameBoot && step === "reboot") {
    if (trials < TRIALS) return { how: "resume" }; // the exchange has yet to come
    return { how: "undo", code: "interrupted", why: `hostd ended ${trials} times before it was exchanged` };
  }
  if (trials < TRIALS) return { how: "again", why: `trial ${trials} ended without a trace, as by a power cut` };
  return { how: "undo", code: "trial-failed", why: `${trials} trials ended without a trace of how` };
}

/** What tells that a trial is at fault: words of initrd and guard, records of a dying kernel. */
export function evidenceOf(left: { bootLog: readonly string[]; records: readonly string[] }): string[] {
  const [last] = left.bootLog.slice(-1);
  return [
    ...(last === undefined ? [] : [last]),
    ...(left.records.length === 0 ? [] : [`the kernel left ${left.records.length} records of its end`]),
  ];
}
