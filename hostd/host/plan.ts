import * as z from "zod";
import type { Boot } from "../../manifests/boot.ts";
import { HOSTD_PLACE } from "../system/paths.ts";

const rootSchema = z.string().regex(/^[0-9a-f]{64}$/);

/** The host's part of an upgrade as decided before its first step; image and generations are in the switch plan. */
export const hostPlanSchema = z.object({
  /** Root digests: of the proven system that runs when it is decided, and of the one that it leads to. */
  from: rootSchema,
  root: rootSchema,
  /** Whether hostd alone is exchanged, without a reboot; and why, or why not. */
  live: z.boolean().default(false),
  why: z.string(),
  /** Number of the target's entry on the ESP. */
  entry: z.int().positive(),
  /** Whether the target was proven here before: then a revert keeps its entry and its /etc. */
  provenBefore: z.boolean(),
  /** Whether the target had an /etc before, which others may stand on: then it is not this operation's to remove. */
  etcBefore: z.boolean().default(false),
  /** Generations that ran when it was decided: each must be healthy again. */
  apps: z.array(z.object({ app: z.string(), generation: z.int() })),
  /** Seconds that the pusher has, once the gates are passed, to confirm over a new connection. */
  confirmWithin: z.int().positive().optional(),
  /** Seconds, from the boot or the exchange on, after which the guard ends a trial that is not blessed. */
  deadline: z.int().positive(),
  /** Trials that were asked for, and the boot that asked for the last one. */
  trials: z.int().nonnegative(),
  askedIn: z.string().optional(),
  /** The boot in which the trial runs, and the uptime in seconds until which a confirmation is waited for. */
  confirmation: z.object({ bootId: z.string(), until: z.number() }).optional(),
  /** Who confirmed. */
  confirmed: z.string().optional(),
  /** Kernel records that were there before: any other is the trial's. */
  records: z.array(z.string()).default([]),
  /** Why somebody went below the floor, or back to what was quarantined. */
  breakGlass: z.string().optional(),
});

export type HostPlan = z.infer<typeof hostPlanSchema>;

/** Seconds of uptime that a trial gets by default, and what the gates of a confirmed one may add. */
const DEADLINE = 600;

export function deadlineOf(confirmWithin: number | undefined): number {
  return DEADLINE + (confirmWithin ?? 0);
}

/** What makes two versions of the host differ, told before anybody reboots for it. */
export interface Difference {
  /** Nothing differs but hostd itself: same kernel, initrd, command line, and files elsewhere. */
  hostdOnly: boolean;
  why: string;
}

/** How an upgrade goes, told before it is asked for: `live` is without a reboot. */
export interface Way extends Difference {
  live: boolean;
}

/** What may stand against an exchange of hostd alone. */
export interface Hindrances {
  /** Somebody asked for a reboot. */
  reboot: boolean;
  /** The system that runs has the guard of an exchange. */
  guarded: boolean;
  /** Files that CONFIG would make other ones. */
  config: readonly string[];
  /** Both find the same files of /etc changed by hand. */
  etcAlike: boolean;
}

/** Without a reboot where nothing but hostd would be another one, on the disk and in /etc, and somebody takes it back. */
export function wayOf(difference: Difference, { reboot, guarded, config, etcAlike }: Hindrances): Way {
  if (!difference.hostdOnly) return { ...difference, live: false };
  const [first] = config;
  const hindrance = [
    ...(reboot ? ["a reboot was asked for"] : []),
    ...(guarded ? [] : ["what runs has no guard that would take it back"]),
    ...(first === undefined ? [] : [`${first} would be another one`]),
    ...(etcAlike ? [] : ["its /etc was changed by hand in other ways"]),
  ][0];
  if (hindrance === undefined) return { ...difference, live: true };
  return { hostdOnly: true, live: false, why: `${difference.why}, but ${hindrance}` };
}

/**
 * Compares two versions. `changed` are the paths that differ between the two roots, relative to them; undefined where
 * nobody could compare them.
 */
export function differenceOf(from: Boot | undefined, to: Boot, changed: readonly string[] | undefined): Difference {
  if (from === undefined) return { hostdOnly: false, why: "what runs is not known here" };
  const parts = [
    ["kernel", from.kernelDigest === to.kernelDigest],
    ["initrd", from.initrdDigest === to.initrdDigest],
    ["command line", from.cmdline === to.cmdline],
  ] as const;
  const different = parts.filter(([, same]) => !same).map(([name]) => name);
  if (different.length > 0) {
    return { hostdOnly: false, why: `${different.join(" and ")} ${different.length === 1 ? "differs" : "differ"}` };
  }
  if (changed === undefined) return { hostdOnly: false, why: "the two systems could not be compared" };
  const outside = changed
    .map((path) => `/${path}`)
    .filter((path) => path !== HOSTD_PLACE && !path.startsWith(`${HOSTD_PLACE}/`));
  const [first] = outside;
  if (first === undefined) return { hostdOnly: true, why: `only ${HOSTD_PLACE} differs` };
  const more = outside.length === 1 ? "" : ` and ${outside.length - 1} more`;
  return { hostdOnly: false, why: `${first}${more} differ${outside.length === 1 ? "s" : ""}` };
}
