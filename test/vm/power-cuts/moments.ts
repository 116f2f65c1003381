import { setTimeout as delay } from "node:timers/promises";
import type { Console } from "../console.ts";

/** What the host is asked to do, and how it ends when nobody cuts its power. */
export type Deed = "stage" | "upgrade" | "sick" | "panic";

interface Moment {
  deed: Deed;
  /** What the console says when it begins; it is over where the next of its deed begins. */
  from: RegExp;
  /** How long it takes, in starts of the machine: their length is what tells how busy the machine under it is. */
  takes: number;
}

const says = (words: string) => new RegExp(`"operation ${words}"`);

/** Everything that an upgrade goes through, piece by piece, in this order; together they leave no gap. */
export const MOMENTS = {
  stage: { deed: "stage", from: says("begins trust"), takes: 0.15 },
  install: { deed: "upgrade", from: says("begins target"), takes: 0.15 },
  shutdown: { deed: "upgrade", from: says("begins reboot"), takes: 0.15 },
  loader: { deed: "upgrade", from: /reboot: Restarting system/, takes: 0.2 },
  boot: { deed: "upgrade", from: /ostler: booting root [0-9a-f]{64}/, takes: 0.8 },
  gates: { deed: "upgrade", from: /"unfinished upgrade"/, takes: 0.2 },
  bless: { deed: "upgrade", from: says("begins bless"), takes: 0.03 },
  revert: { deed: "sick", from: says("undoes reboot"), takes: 1.3 },
  panic: { deed: "panic", from: /Kernel panic/, takes: 1.2 },
} as const satisfies Record<string, Moment>;

export type MomentName = keyof typeof MOMENTS;
export const MOMENT_NAMES = Object.keys(MOMENTS) as MomentName[];

const ENDED = says("is (?:done|failed)");

/** Done at a point of the moment: `part` of its usual length after its beginning. */
export async function reach(
  console: Console,
  { name, part, start }: { name: MomentName; part: number; start: number },
  limit: number,
): Promise<void> {
  await console.waitFor(MOMENTS[name].from, limit);
  await delay(part * MOMENTS[name].takes * start);
}

/** What a deed had come to, by what the console said since it was begun. Pure. */
export function momentIn(text: string, deed: Deed): MomentName | "begin" | "end" {
  if (ENDED.test(text)) return "end";
  return MOMENT_NAMES.findLast((name) => MOMENTS[name].deed === deed && MOMENTS[name].from.test(text)) ?? "begin";
}
