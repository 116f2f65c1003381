import { shortDigest } from "../../manifests/digest.ts";
import type { HostStatus } from "../../manifests/host.ts";
import { bytes, table } from "../../terminal/table.ts";

/** Differences of /etc that people see; --json has all of them. */
const SHOWN_DRIFT = 10;

/** The system under a node as people read it: what runs, what a reboot leads to, room on the ESP, drift. */
export function showHost(host: HostStatus): string {
  const { booted, started, good, boot, size, next, drift, esp, problem } = host;
  const as = { good: "the last good system", trial: "on trial", other: "neither proven nor on trial" }[booted.as];
  return [
    `system: ${nameOf(booted)}, ${as}`,
    ...(started === undefined ? [] : [`  started with ${nameOf(started)}; hostd alone was exchanged since`]),
    ...(booted.as === "good" || good === undefined ? [] : [`  last good: ${nameOf(good)}`]),
    ...(boot === undefined ? [] : [`  booted in ${timesOf(boot)}`]),
    ...(size === undefined ? [] : [`  layers ${bytes(size.layers)}, UKI ${bytes(size.uki)}`]),
    ...(esp === undefined
      ? []
      : [`  ESP: ${bytes(esp.entries)} of entries, ${bytes(esp.free)} of ${bytes(esp.total)} free`]),
    ...(problem === undefined ? [] : [`  ${problem}`]),
    ...(next === undefined
      ? []
      : [
          `  next: ${next.version} (${shortDigest(next.image)}), ${next.live ? "without reboot" : "reboot"}: ${next.why}`,
        ]),
    ...driftLines(drift),
    "",
    table(["", "ENTRY", "VERSION", "SIZE", "TRIES"], entryRows(host), { indent: 2 }),
  ].join("\n");
}

function nameOf({
  root,
  version,
  image,
}: {
  root: string;
  version?: string | undefined;
  image?: string | undefined;
}): string {
  const short = root.slice(0, 12);
  return version === undefined || image === undefined ? `root ${short}` : `${version} (root ${short})`;
}

function timesOf(boot: NonNullable<HostStatus["boot"]>): string {
  const parts = (["firmware", "loader", "kernel", "user"] as const).flatMap((name) => {
    const time = boot[name];
    return time === undefined ? [] : [[name, time] as const];
  });
  const total = parts.reduce((sum, [, time]) => sum + time, 0);
  return `${seconds(total)} (${parts.map(([name, time]) => `${name} ${seconds(time)}`).join(", ")})`;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

function driftLines(drift: HostStatus["drift"]): string[] {
  if (drift.length === 0) return [];
  const shown = drift.slice(0, SHOWN_DRIFT).map(({ path, how }) => `    ${how} ${path}`);
  const more = drift.length > SHOWN_DRIFT ? [`    and ${drift.length - SHOWN_DRIFT} more: --json`] : [];
  return [`  drift of /etc: ${drift.length} ${drift.length === 1 ? "file" : "files"}`, ...shown, ...more];
}

function entryRows({ entries, booted, recovery }: HostStatus): string[][] {
  const rows = entries.map(({ name, root, version = "", size, tries, default: isDefault }) => [
    `${root === booted.root ? "●" : ""}${isDefault ? "★" : ""}`,
    name,
    version,
    bytes(size),
    tries === undefined ? "" : `${tries.left} left`,
  ]);
  return recovery ? [...rows, ["", "recovery.efi", "", "", ""]] : rows;
}
