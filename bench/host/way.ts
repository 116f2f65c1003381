import { setTimeout as delay } from "node:timers/promises";
import { sshCommand } from "../../builder/ci/ssh.ts";
import { run } from "../../effects/process.ts";
import type { Machine } from "../../test/vm/machine.ts";
import type { Noticed } from "./outside.ts";

/** One way to keep a host up to date, on a machine of its own. */
export interface Way {
  name: string;
  /** Seconds from power to a hostd that says all is well. */
  start(): Promise<number>;
  /** Good changes by what they are of. Each call makes another version and ends when the machine has proven it. */
  upgrades: Readonly<Record<string, () => Promise<Change>>>;
  /** A version that panics while it starts; ends when the machine is well again. Undefined where only a person ends it. */
  revert: (() => Promise<Change>) | undefined;
  close(): Promise<void>;
}

export interface Change extends Noticed {
  /** Sent to the machine. */
  bytes: number;
}

/** What the bench calls well, on every machine. */
export const HEALTHY = "hostd health";

/** Milliseconds that a start, and sending, may take on a busy, emulated machine. */
export const START = 15 * 60_000;
const SENDING = 15 * 60_000;

/** A unit that panics the kernel: the same fault for everybody. */
export const PANIC_UNIT =
  "[Unit]\nDescription=A driver that is no good\n\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo c >/proc/sysrq-trigger'\n";

/** The power goes and comes back; seconds until all is well. */
export async function startOf(machine: Machine): Promise<number> {
  await machine.ssh("sync");
  await machine.powerCut();
  const started = Date.now();
  machine.powerOn();
  await machine.waitForSsh(HEALTHY, START);
  return (Date.now() - started) / 1_000;
}

/** Asks it to start anew, and waits until it went. */
export async function reboot(machine: Machine): Promise<void> {
  const before = machine.resets;
  await machine.ssh("systemctl reboot").catch(() => {}); // the connection may die with the machine
  for (const until = Date.now() + START; machine.resets === before; await delay(100)) {
    if (Date.now() > until) throw new Error(`expected a reset within ${START / 1_000} s of systemctl reboot`);
  }
}

/** Sends what a directory of this machine holds into one of that machine, over SSH. */
export async function send(machine: Machine, sshKey: string, from: string, to: string): Promise<void> {
  const ssh = sshCommand(sshKey, machine.sshPort);
  const unpack = `rm -rf ${to} && mkdir -p ${to} && tar -x -C ${to}`;
  await run(["sh", "-c", 'tar -C "$0" -c . | "$@"', from, ...ssh, unpack], { timeout: SENDING });
}
