import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { BLANK_VARS, type QemuOptions, type QemuRun, startQemu } from "../../builder/ci/qemu.ts";
import { freePort, sshCommand } from "../../builder/ci/ssh.ts";
import { ProcessError, type ProcessResult, run } from "../../effects/process.ts";
import { CONSOLE_MARK, type Console, openConsole, tailOf } from "./console.ts";
import type { Cut, VolatileDisk } from "./volatile-disk.ts";

export interface MachineOptions {
  /** Names its log, .ostler/vm/NAME.log, which stays when the test is over. */
  name: string;
  /** A raw image, which the machine writes to. */
  disk: string;
  /** Its firmware's variables; default DISK.vars, made blank where it is missing. */
  vars?: string;
  /** File with the private key for `ssh`; without it the machine has no network. */
  sshKey?: string;
  secureBoot?: boolean;
  /** Its firmware boots what its variables say, in their order. */
  ownBootOrder?: boolean;
  /** Serves `disk` with a write cache, which a power cut empties. */
  volatile?: VolatileDisk;
  /** Ports of 127.0.0.1 that lead to other ports of the machine. */
  forward?: readonly { port: number; to: number }[];
  /** MiB; default 2048. */
  memory?: number;
  /** QEMU arguments more. */
  extra?: readonly string[];
}

export interface SshOptions {
  input?: string | Uint8Array;
  /** Milliseconds for one command; default a minute. */
  timeout?: number;
}

/** A real machine with UEFI firmware, emulated. It comes back by itself after a reset, as a real one would. */
export interface Machine {
  readonly console: Console;
  /** Port of 127.0.0.1 that leads to its sshd. */
  readonly sshPort: number;
  /** Resets so far: by itself, by its watchdog, or on its own request. */
  readonly resets: number;
  /** True while it is powered. */
  readonly running: boolean;
  /** Runs a command on it as root. Throws ProcessError unless it exits 0. */
  ssh(command: string, options?: SshOptions): Promise<ProcessResult>;
  /** Done when a command over SSH succeeds; tried again until `ms` have passed. */
  waitForSsh(command?: string, ms?: number): Promise<ProcessResult>;
  /** Takes the power away, in the middle of whatever it does; answers what a volatile disk lost by it. */
  powerCut(): Promise<Cut | undefined>;
  /** Presses the power button and waits until it is off. */
  shutdown(ms?: number): Promise<void>;
  powerOn(): void;
  /** Copies disk and variables while it is off, sharing blocks where the file system can; DISK.vars beside the copy. */
  snapshotDisk(path: string): Promise<void>;
}

/** Milliseconds for one attempt of waitForSsh: a command may take long where the machine under it is busy. */
const ATTEMPT = 120_000;

/** What an emulator emulates quickest: a start costs two thirds of what it does with every extension. */
export const PROCESSOR = "qemu64";

const LOGS = join(import.meta.dirname, "..", "..", ".ostler", "vm");

/**
 * Powers a machine on. The caller ends it with `powerCut` or `shutdown`; `withMachine` does so by itself. QEMU is
 * started again for each reset, since that costs three seconds where a reset inside it costs up to thirty.
 */
export async function bootMachine(options: MachineOptions): Promise<Machine> {
  const { disk, vars = `${disk}.vars`, sshKey, volatile, forward } = options;
  await mkdir(LOGS, { recursive: true });
  await copyFile(BLANK_VARS, vars, 1).catch(unlessThere); // 1: never over a machine's own
  const log = join(LOGS, `${options.name}.log`);
  await writeFile(log, "");
  const console = openConsole(log);
  const sshPort = await freePort();
  const { memory = 2048, secureBoot, ownBootOrder, extra } = options;
  const qemu: QemuOptions = {
    disks: [volatile?.address ?? disk],
    writeCache: volatile !== undefined,
    forward,
    vars,
    memory,
    processor: PROCESSOR,
    secureBoot,
    ownBootOrder,
    extra,
    ...(sshKey === undefined ? {} : { sshPort }),
  };
  let [resets, current]: [number, QemuRun | undefined] = [0, undefined];

  const powerOn = () => {
    const started = startQemu(qemu, console.write);
    current = started;
    started.ended.then((end) => {
      if (current !== started) return;
      current = undefined;
      if (end === "failed") return console.close("QEMU failed");
      if (end !== "reset") return;
      resets++;
      powerOn();
    });
  };
  const ssh = (command: string, { input, timeout = 60_000 }: SshOptions = {}) => {
    if (sshKey === undefined) throw new Error(`${options.name}: expected an sshKey in the machine's options, got none`);
    return run([...sshCommand(sshKey, sshPort), command], { timeout, ...(input === undefined ? {} : { input }) });
  };
  powerOn();
  return {
    console,
    sshPort,
    get resets() {
      return resets;
    },
    get running() {
      return current !== undefined;
    },
    ssh,
    async waitForSsh(command = "true", ms = 180_000) {
      for (const until = Date.now() + ms; ; await delay(500)) {
        try {
          return await ssh(command, { timeout: ATTEMPT });
        } catch (error) {
          if (!(error instanceof ProcessError) || Date.now() > until) throw error;
        }
      }
    },
    async powerCut() {
      const killed = current;
      current = undefined; // first: a reset at this very moment must not bring it back
      killed?.kill();
      await killed?.ended;
      return await volatile?.cutPower();
    },
    async shutdown(ms = 90_000) {
      const stopping = current;
      const timer = setTimeout(() => stopping?.kill(), ms);
      stopping?.powerButton();
      const end = await stopping?.ended.finally(() => clearTimeout(timer));
      if (end !== undefined && end !== "off") throw new Error(`${options.name}: expected it off, got "${end}"`);
    },
    powerOn,
    async snapshotDisk(path) {
      if (current !== undefined) throw new Error(`${options.name}: expected it off, got a running machine`);
      await copyDisk(disk, path);
      await copyFile(vars, `${path}.vars`);
    },
  };
}

/** A machine for as long as `use` runs; then its power is cut. An error tells where its log is. */
export async function withMachine<T>(options: MachineOptions, use: (machine: Machine) => Promise<T>): Promise<T> {
  const machine = await bootMachine(options);
  try {
    return await use(machine);
  } catch (error) {
    if (!(error instanceof Error) || error.message.includes(CONSOLE_MARK)) throw error;
    const log = join(LOGS, `${options.name}.log`);
    error.message += `\n${CONSOLE_MARK}, the whole is in ${log}\n${tailOf(machine.console.text)}`;
    throw error;
  } finally {
    await machine.powerCut();
  }
}

/** A disk image's copy, sparse, and sharing blocks where the file system can. */
export async function copyDisk(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await rm(to, { force: true });
  await run(["cp", "--reflink=auto", "--sparse=always", from, to]);
}

function unlessThere(error: unknown): void {
  if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
}
