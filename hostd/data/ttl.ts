import { HostdError } from "../error.ts";

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `14d`, `36h`, `30m` as milliseconds; `never` is undefined. */
export function parseTtl(text: string): number | undefined {
  if (text === "never") return undefined;
  const [, number = "", unit = ""] = /^([1-9]\d{0,5})([smhd])$/.exec(text) ?? [];
  if (number !== "") return Number(number) * (UNITS[unit] ?? 0);
  throw new HostdError("bad-request", `ttl: expected a time such as 14d, 36h, 30m, or never, got ${text}`);
}
