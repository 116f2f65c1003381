import type { SnapshotDocument } from "../../manifests/snapshot.ts";
import { HostdError } from "../error.ts";

// Which snapshots stay and which go, decided from values; nothing here touches a disk.

/** Reason of a snapshot that somebody asked for; all others are hostd's own, taken before a switch or a revert. */
export const ASKED_FOR = "asked for";

/** Most that snapshots of one app may take. */
export interface Limits {
  count: number;
  /** Bytes; no limit where it is undefined. */
  bytes: number | undefined;
}

/** A thin pool that is fuller than this, data or metadata, takes no more: one that is full loses what apps write. */
export const POOL_GUARD = 0.8;

export interface Protection {
  /** Newest first. */
  snapshots: readonly SnapshotDocument[];
  /** The generation that a rollback leads to. */
  target: number | undefined;
  /** Generations whose image somebody pinned. */
  pinned: readonly number[];
  /** Named by the plan of an operation under way. */
  inUse: readonly (string | undefined)[];
}

/**
 * Snapshots that neither time nor quota takes, each with why: one in use, those of a pinned version, and the newest
 * with the data of the generation that a rollback leads to.
 */
export function protectedSnapshots({ snapshots, target, pinned, inUse }: Protection): ReadonlyMap<string, string> {
  const newest = snapshots.find(({ generation }) => generation !== undefined && generation === target);
  const found = snapshots.flatMap(({ id, generation }): [string, string][] => {
    if (inUse.includes(id)) return [[id, "an operation under way needs it"]];
    if (id === newest?.id) return [[id, `it is the newest with the data of the rollback target, generation ${target}`]];
    if (generation !== undefined && pinned.includes(generation)) {
      return [[id, `it holds the data of generation ${generation}, whose version is pinned`]];
    }
    return [];
  });
  return new Map(found);
}

/** Snapshots whose time is over, the oldest first. */
export function chooseDue(
  snapshots: readonly SnapshotDocument[],
  kept: ReadonlyMap<string, string>,
  now: Date,
): string[] {
  return snapshots
    .filter(({ id, expires }) => expires !== undefined && Date.parse(expires) <= now.getTime() && !kept.has(id))
    .map(({ id }) => id)
    .reverse();
}

export interface RoomInput {
  app: string;
  /** Newest first. */
  snapshots: readonly SnapshotDocument[];
  kept: ReadonlyMap<string, string>;
  /** What forgetting each would give back, bytes; one that is not there counts nothing. */
  sizes: Readonly<Record<string, number>>;
  /** Bytes that the coming one takes at once, what the way back from it would take besides, and those that are free. */
  cost: number;
  wayBack: number;
  free: number;
  /** Bytes that stay free, for whatever is written next. */
  reserve: number;
  limits: Limits;
}

/**
 * What has to go first so that one more snapshot fits: as many of hostd's own, the oldest first, as it takes. Those
 * asked for and protected ones stay; where that is not enough nothing goes and the coming one is refused.
 */
export function chooseDisplaced(input: RoomInput): string[] {
  const gone: string[] = [];
  const candidates = input.snapshots.filter(({ id, reason }) => reason !== ASKED_FOR && !input.kept.has(id)).reverse();
  for (;;) {
    const lack = lackOf(input, gone);
    if (lack === undefined) return gone;
    const next = candidates.shift();
    if (next === undefined) throw lack;
    gone.push(next.id);
  }
}

/** Refuses where the pool is too full for any change. */
export function refuseFullPool(pool: { name: string; data: number; metadata: number } | undefined): void {
  if (pool === undefined || Math.max(pool.data, pool.metadata) < POOL_GUARD) return;
  const found = `data ${percent(pool.data)}, metadata ${percent(pool.metadata)}`;
  throw new HostdError("no-space", `thin pool ${pool.name}: expected less than ${percent(POOL_GUARD)}, got ${found}`, {
    hint: `hostd snapshot forget APP SNAPSHOT gives room back; lvextend --size +10G ${pool.name} makes more`,
    details: { ...pool },
  });
}

function lackOf(
  { app, snapshots, sizes, cost, wayBack, free, reserve, limits }: RoomInput,
  gone: readonly string[],
): HostdError | undefined {
  const refused = (code: "quota" | "no-space", message: string) =>
    new HostdError(code, message, {
      hint: `hostd snapshot list ${app} shows them, hostd snapshot forget ${app} SNAPSHOT makes room`,
    });
  const left = snapshots.filter(({ id }) => !gone.includes(id));
  const bytes = left.reduce((sum, { id }) => sum + (sizes[id] ?? 0), 0);
  const freed = gone.reduce((sum, id) => sum + (sizes[id] ?? 0), 0);
  if (left.length + 1 > limits.count) {
    return refused("quota", `snapshots: expected at most ${limits.count} with the coming one, got ${left.length + 1}`);
  }
  if (limits.bytes !== undefined && bytes + cost > limits.bytes) {
    return refused("quota", `snapshots: expected at most ${limits.bytes} bytes, got ${bytes} and ${cost} to come`);
  }
  const taken = cost + wayBack;
  if (taken > 0 && taken + reserve > free + freed) {
    const back = wayBack === 0 ? "" : `${wayBack} to go back, `;
    const needed = `${taken + reserve} bytes free (${cost} to take, ${back}${reserve} in reserve)`;
    return refused("no-space", `snapshot: expected ${needed}, got ${free}, and ${freed} in older ones`);
  }
  return undefined;
}

function percent(part: number): string {
  return `${Math.floor(part * 1000) / 10} %`;
}
