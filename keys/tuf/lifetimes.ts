/** Days until metadata expires. Timestamp is the freshness of everything: whoever serves a repository refreshes it. */
export const LIFETIME_DAYS = { root: 365, targets: 180, snapshot: 30, timestamp: 7 } as const;

const DAY_MS = 24 * 60 * 60 * 1000;

/** When metadata signed now expires, as TUF writes times: whole seconds, UTC (TUF specification 4.2). */
export function expiryOf(kind: keyof typeof LIFETIME_DAYS, now: Date): string {
  return `${new Date(now.getTime() + LIFETIME_DAYS[kind] * DAY_MS).toISOString().slice(0, 19)}Z`;
}

/** True when less than half of the lifetime is left: time to sign anew. */
export function isHalfSpent(kind: keyof typeof LIFETIME_DAYS, expires: string, now: Date): boolean {
  return new Date(expires).getTime() - now.getTime() < (LIFETIME_DAYS[kind] * DAY_MS) / 2;
}
