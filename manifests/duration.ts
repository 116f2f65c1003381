const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `14d`, `36h`, `30m`, `90s` as milliseconds; undefined where it is no time, or none at all. */
export function parseTime(text: string): number | undefined {
  const [, number = "", unit = ""] = /^([1-9]\d{0,5})([smhd])$/.exec(text) ?? [];
  return number === "" ? undefined : Number(number) * (UNITS[unit] ?? 0);
}
