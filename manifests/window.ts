/** A part of each day in minutes since midnight, in the node's own time; where it ends before it begins it goes over midnight. */
export interface Window {
  from: number;
  to: number;
}

const DAY = 24 * 60;

/** Reads `02:00-05:00`; undefined where it is nothing like that, or has no length. */
export function parseWindow(text: string): Window | undefined {
  const found = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.exec(text);
  if (found === null) return undefined;
  const [, fromHour, fromMinute, toHour, toMinute] = found.map(Number);
  const window = { from: minutes(fromHour, fromMinute), to: minutes(toHour, toMinute) };
  return window.from === window.to ? undefined : window;
}

export function isWithin({ from, to }: Window, date: Date): boolean {
  const now = minutes(date.getHours(), date.getMinutes());
  return from < to ? now >= from && now < to : now >= from || now < to;
}

/** Milliseconds; 0 where there is no window. */
export function lengthOf(window: Window | undefined): number {
  return window === undefined ? 0 : ((window.to - window.from + DAY) % DAY) * 60_000;
}

export function showWindow({ from, to }: Window): string {
  const show = (at: number) => new Date(at * 60_000).toISOString().slice(11, 16);
  return `${show(from)}-${show(to)}`;
}

function minutes(hour = 0, minute = 0): number {
  return hour * 60 + minute;
}
