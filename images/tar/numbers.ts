import type { EntryTime } from "../entry.ts";

/** A header number: octal digits, or base-256 where the first byte's top bit is set. Undefined when it is neither. */
export function readNumber(block: Buffer, offset: number, length: number): number | undefined {
  const first = block[offset] ?? 0;
  if ((first & 0x80) !== 0) return readBase256(block, offset, length);
  const text = block.toString("latin1", offset, offset + length);
  const digits = /^ *([0-7]*)[ \0]*$/.exec(text)?.[1];
  return digits === undefined ? undefined : digits === "" ? 0 : Number.parseInt(digits, 8);
}

/** Octal digits with leading zeros and a NUL behind; undefined where the number does not fit. */
export function octal(value: number, length: number): string | undefined {
  if (!Number.isSafeInteger(value) || value < 0) return undefined;
  const digits = value.toString(8);
  return digits.length < length ? `${digits.padStart(length - 1, "0")}\0` : undefined;
}

/** A PAX number: decimal digits alone. */
export function parseDecimal(text: string): number | undefined {
  if (!/^\d{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** A PAX time: decimal seconds with an optional fraction, which counts away from 1970 on both sides of it. */
export function parseTime(text: string): EntryTime | undefined {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign, whole, fraction = ""] = match;
  const seconds = Number(whole);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, "0"));
  if (sign === "") return { seconds, nanoseconds };
  if (nanoseconds === 0) return { seconds: 0 - seconds, nanoseconds: 0 };
  return { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

/** The PAX form of a time, without zeros at the end of its fraction. */
export function formatTime({ seconds, nanoseconds }: EntryTime): string {
  if (nanoseconds === 0) return String(seconds);
  const [whole, part] = seconds < 0 ? [-seconds - 1, 1_000_000_000 - nanoseconds] : [seconds, nanoseconds];
  const fraction = String(part).padStart(9, "0").replace(/0+$/, "");
  return `${seconds < 0 ? "-" : ""}${whole}.${fraction}`;
}

function readBase256(block: Buffer, offset: number, length: number): number | undefined {
  const negative = ((block[offset] ?? 0) & 0x40) !== 0;
  let value = negative ? -1n : 0n;
  for (let index = 0; index < length; index++) {
    const byte = block[offset + index] ?? 0;
    value = (value << 8n) | BigInt(index === 0 ? (negative ? byte : byte & 0x3f) : byte);
  }
  const number = Number(negative ? BigInt.asIntN(length * 8, value) : value);
  return Number.isSafeInteger(number) ? number : undefined;
}
