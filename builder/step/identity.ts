import { readFileSync, rmSync, truncateSync } from "node:fs";
import { findInside } from "../tree/inside.ts";

const MACHINE_ID = /^[0-9a-f]{32}\n?$/;

/**
 * Takes the identity of a machine out of a step's result. Package scripts of systemd and dbus make one at random, and
 * every node that ran the image would share it: an empty /etc/machine-id is filled at first boot (machine-id(5)).
 */
export function removeIdentity(upper: string): void {
  const machine = idFile(upper, "etc/machine-id");
  if (machine !== undefined) truncateSync(machine);
  const bus = idFile(upper, "var/lib/dbus/machine-id");
  if (bus !== undefined) rmSync(bus);
}

function idFile(upper: string, path: string): string | Buffer | undefined {
  const found = findInside(upper, path);
  if (found?.stats.isFile() !== true || found.stats.size > 33) return undefined;
  return MACHINE_ID.test(readFileSync(found.path, "latin1")) ? found.path : undefined;
}
