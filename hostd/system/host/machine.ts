import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../../effects/errno.ts";
import { run } from "../../../effects/process.ts";
import { HostdError } from "../../error.ts";
import { type BootTimes, bootTimesOf, TIMESTAMPS } from "../../host/times.ts";
import { type Exchanger, openExchanger } from "./exchange.ts";

/** Variables of the Boot Loader Interface (systemd.io/BOOT_LOADER_INTERFACE). */
const LOADER_VENDOR = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/** Milliseconds that an orderly reboot may take before the machine is reset whatever still runs. */
const ORDERLY = 60_000;

/** Milliseconds that a unit gets to take its new files: as long as systemd gives one to start. */
const TOLD_WITHIN = 90_000;

/** The machine that this node is: what it booted, what it boots next, and the way there. */
export interface Machine extends Omit<Exchanger, "exchanged"> {
  /**
   * Root digest of the running system: that of the hostd in place where it was exchanged alone, which differs in nothing
   * else (hostd/host/exchange.ts), else that of the signed kernel command line.
   */
  readonly booted: string;
  /** That of the kernel command line, whatever was exchanged since: the layers that the machine stands on. */
  readonly started: string;
  /** Differs after every start of the kernel. */
  readonly bootId: string;
  /** Seconds since the kernel started: no clock that somebody sets. */
  uptime(): Promise<number>;
  /** Makes the loader boot the entry that matches once, whatever its default is. */
  bootOnce(pattern: string): Promise<void>;
  /** Takes that back, where the loader did not use it up. */
  bootAsUsual(): Promise<void>;
  /** Asks for a reboot, and for a harder one where that does not come; resolves when it was asked for. */
  reboot(): Promise<void>;
  /** Has systemd reload a unit, or start it again where it cannot; nothing where it does not run. */
  tellUnit(unit: string, signal?: AbortSignal): Promise<void>;
  /** How long the last boot took; undefined where the service manager does not know. */
  bootTimes(): Promise<BootTimes | undefined>;
}

/** The machine below `root` (`/` but in tests); undefined where what runs is no host image. */
export async function openMachine(root: string): Promise<Machine | undefined> {
  const cmdline = (await unlessMissing(readFile(join(root, "proc/cmdline"), "utf8"))) ?? "";
  const started = /(?:^|\s)ostler\.root=([0-9a-f]{64})(?:\s|$)/.exec(cmdline)?.[1];
  if (started === undefined) return undefined;
  const { exchanged, ...exchanger } = openExchanger(root);
  const bootId = (await readFile(join(root, "proc/sys/kernel/random/boot_id"), "utf8")).trim();
  const once = join(root, `sys/firmware/efi/efivars/LoaderEntryOneShot-${LOADER_VENDOR}`);
  return {
    ...exchanger,
    booted: (await exchanged()) ?? started,
    started,
    bootId,
    async uptime() {
      return Number((await readFile(join(root, "proc/uptime"), "utf8")).split(" ")[0]);
    },
    bootOnce: async (pattern) => void (await run(["bootctl", "set-oneshot", pattern])),
    async bootAsUsual() {
      if ((await unlessMissing(stat(once))) !== undefined) await run(["bootctl", "set-oneshot", ""]);
    },
    async reboot() {
      setTimeout(() => void run(["systemctl", "reboot", "--force", "--force"]).catch(() => {}), ORDERLY).unref();
      try {
        await run(["systemctl", "reboot"]);
      } catch (cause) {
        throw new HostdError("reboot-failed", `the machine does not reboot: ${(cause as Error).message}`, { cause });
      }
    },
    async tellUnit(unit, signal) {
      await run(["systemctl", "try-reload-or-restart", unit], { timeout: TOLD_WITHIN, signal });
    },
    async bootTimes() {
      const properties = ["show", `--property=${TIMESTAMPS.join(",")}`];
      const shown = await run(["systemctl", ...properties], { timeout: 5_000 }).catch(() => undefined);
      return shown === undefined ? undefined : bootTimesOf(shown.stdout);
    },
  };
}
