import { HostdError } from "../error.ts";

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `14d`, `36h`, `30m` as milliseconds; `never` is undefined. `what` was given it is named where it is refused. */
export function parseTtl(text: string, what = "ttl"): number | undefined {
  if (text === "never") return undefined;
  const time = parseTime(text);
  if (time !== undefined) return time;
  throw new HostdError("bad-request", `${what}: expected a time such as 14d, 36h, 30m, or never, got ${text}`);
}

/** `14d`, `36h`, `30m` as milliseconds; undefined where it is no time, or none at all. */
export function parseTime(text: string): number | undefined {
  const [, number = "", unit = ""] = /^([1-9]\d{0,5})([smhd])$/.exec(text) ?? [];
  return number === "" ? undefined : Number(number) * (UNITS[unit] ?? 0);
}
