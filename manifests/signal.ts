import { constants } from "node:os";

/** A signal of Linux: as an OCI config names it, and as the kernel counts it. */
export interface SignalNumber {
  name: string;
  number: number;
}

/** What a shell adds to the number of the signal that ended a program, for its exit code. */
export const EXIT_BY_SIGNAL = 128;

/** Real-time signals that a C library leaves to programs (signal(7)): glibc keeps two of the kernel's for itself. */
const [FIRST_REAL_TIME, LAST_REAL_TIME] = [34, 64];

/** Names that a signal may be given by, but for those counted from SIGRTMIN and SIGRTMAX. */
export const SIGNAL_NAMES: readonly string[] = Object.keys(constants.signals);

export const SIGTERM: SignalNumber = { name: "SIGTERM", number: constants.signals.SIGTERM };

/**
 * `SIGQUIT`, `quit`, `3`, `SIGRTMIN+3` or `SIGRTMAX-1` (image-spec config.md, StopSignal; numbers and short names as
 * Docker takes them). Undefined for anything else.
 */
export function parseSignal(text: string): SignalNumber | undefined {
  if (/^\d{1,2}$/.test(text)) return byNumber(Number(text));
  const upper = text.toUpperCase();
  const name = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  const [, from, sign, count] = /^SIGRT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name) ?? [];
  if (from !== undefined) {
    const away = Number(`${sign ?? "+"}${count ?? 0}`);
    return byNumber((from === "MIN" ? FIRST_REAL_TIME : LAST_REAL_TIME) + away, FIRST_REAL_TIME);
  }
  const found = SIGNAL_NAMES.includes(name) ? constants.signals[name as NodeJS.Signals] : undefined;
  return found === undefined ? undefined : { name, number: found };
}

function byNumber(number: number, least = 1): SignalNumber | undefined {
  if (number < least || number > LAST_REAL_TIME) return undefined;
  if (number >= FIRST_REAL_TIME) return { name: `SIGRTMIN+${number - FIRST_REAL_TIME}`, number };
  const name = SIGNAL_NAMES.find((known) => constants.signals[known as NodeJS.Signals] === number);
  return { name: name ?? String(number), number };
}
