/** Milliseconds of a boot, by who took them; firmware and loader are absent where the loader does not tell. */
export interface BootTimes {
  firmware?: number;
  loader?: number;
  /** Kernel and initrd, until the service manager began. */
  kernel: number;
  /** Until the service manager had started everything; absent while it has not. */
  user?: number;
}

/** What systemd is asked for (org.freedesktop.systemd1.Manager): microseconds, firmware's and loader's before zero. */
export const TIMESTAMPS = [
  "FirmwareTimestampMonotonic",
  "LoaderTimestampMonotonic",
  "UserspaceTimestampMonotonic",
  "FinishTimestampMonotonic",
] as const;

/** The times that `systemctl show` tells as `NAME=MICROSECONDS` lines; undefined where it does not know them. */
export function bootTimesOf(shown: string): BootTimes | undefined {
  const values = Object.fromEntries(shown.split("\n").map((line) => line.split("=")));
  const [firmware, loader, user, finish] = TIMESTAMPS.map((name) => Number(values[name] ?? 0) / 1000);
  if (!user || Number.isNaN(user)) return undefined;
  return {
    ...(firmware && loader ? { firmware: Math.round(firmware - loader) } : {}),
    ...(loader ? { loader: Math.round(loader) } : {}),
    kernel: Math.round(user),
    ...(finish ? { user: Math.round(finish - user) } : {}),
  };
}
