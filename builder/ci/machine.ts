import { createWriteStream } from "node:fs";
import { copyFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { ProcessError, type ProcessResult, quoteCommand, run } from "../../effects/process.ts";
import { BLANK_VARS, type RunEnd, startQemu } from "./qemu.ts";
import { freePort, sshCommand } from "./ssh.ts";

export interface CiMachineOptions {
  /** A raw disk, which the machine writes to. */
  disk: string;
  /** File with the private key that root's identity lets in. */
  sshKey: string;
  /** File that keeps what the machine writes on its serial line. */
  consoleLog: string;
  /** The machine may reach other networks. */
  network: boolean;
  kvm: boolean;
  signal: AbortSignal;
}

/** A machine that is thrown away after its tests. */
export interface CiMachine {
  /** What it wrote on its serial line, the last part. */
  consoleTail(): string;
  /** Waits until a command over SSH succeeds; says why it will not. */
  waitForSsh(limit: number): Promise<{ up: true } | { up: false; reason: string }>;
  /** Runs a command as root. Throws ProcessError unless it exits 0. */
  ssh(
    command: readonly string[],
    options?: { input?: Uint8Array; timeout?: number; onOutput?(text: string): void },
  ): Promise<ProcessResult>;
}

const MEMORY = 2048;
const TAIL = 16 * 1024;
const RETRY = 500;

/** Powers a machine on for as long as `use` runs; then its power is cut. */
export async function withCiMachine<T>(options: CiMachineOptions, use: (machine: CiMachine) => Promise<T>): Promise<T> {
  const { disk, sshKey, consoleLog, network, kvm, signal } = options;
  const vars = `${disk}.vars`;
  await copyFile(BLANK_VARS, vars);
  const sshPort = await freePort();
  const log = createWriteStream(consoleLog);
  let tail = "";
  const qemu = startQemu({ disks: [disk], vars, memory: MEMORY, sshPort, network, kvm }, (chunk) => {
    log.write(chunk);
    tail = (tail + chunk.toString("latin1")).slice(-TAIL);
  });
  let ended: RunEnd | undefined;
  qemu.ended.then((end) => {
    ended = end;
  });
  const ssh: CiMachine["ssh"] = (command, { input, timeout = 60_000, onOutput } = {}) =>
    run([...sshCommand(sshKey, sshPort), quoteCommand(command)], {
      timeout,
      signal,
      ...(input === undefined ? {} : { input }),
      ...(onOutput === undefined ? {} : { onOutput }),
    });
  try {
    return await use({
      consoleTail: () => tail,
      ssh,
      async waitForSsh(limit) {
        for (const until = Date.now() + limit; ; await delay(RETRY, undefined, { signal })) {
          if (ended !== undefined) return { up: false, reason: REASONS[ended] };
          const up = await ssh(["true"], { timeout: 20_000 }).then(() => true, refuseOthers);
          if (up) return { up };
          if (Date.now() > until) return { up: false, reason: `it did not answer over SSH within ${limit / 1000} s` };
        }
      },
    });
  } finally {
    qemu.kill();
    await qemu.ended.catch(() => {});
    await new Promise((resolve) => log.end(resolve));
  }
}

const REASONS: Record<RunEnd, string> = {
  reset: "the machine reset itself before it answered",
  off: "the machine turned itself off before it answered",
  killed: "QEMU was killed",
  failed: "QEMU failed: its own words are in the console's log",
};

function refuseOthers(error: unknown): false {
  if (error instanceof ProcessError && error.code === "process-failed") return false;
  throw error;
}
