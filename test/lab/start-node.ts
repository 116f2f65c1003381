import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type ProcessResult, type RunOptions, run } from "../../effects/process.ts";
import { labBase } from "./base.ts";
import { type Cgroups, makeCgroups } from "./cgroups.ts";

/**
 * A small Debian with a real systemd as PID 1, in systemd-nspawn. It has the machine's network and kernel, its own
 * processes, cgroups and mounts, and this repository, read-only, at its usual path.
 */
export interface LabNode {
  /** Its root directory, as the machine sees it. */
  root: string;
  /** The command line that runs something in the node. */
  enter(command: readonly string[]): string[];
  /** Runs a command in the node, to its end. */
  run(command: readonly string[], options?: RunOptions): Promise<ProcessResult>;
  /** A clean shutdown, then a boot. */
  reboot(): Promise<void>;
  /** Kills everything at once, then boots; what was on the disk stays. `meanwhile`: what the machine does before it boots. */
  powerCut(meanwhile?: () => void): Promise<void>;
}

const REPOSITORY = join(import.meta.dirname, "..", "..");
const BOOT_LIMIT = 60_000;
const STOP_LIMIT = 30_000;

/** In place of systemd itself: makes writable what nspawn keeps read-only, and the loop devices. */
const INIT = `#!/bin/sh
for c in memory cpu cpuacct pids freezer blkio cpuset; do
  [ ! -d /sys/fs/cgroup/$c ] || mount -o remount,bind,rw /sys/fs/cgroup/$c
done
mknod -m 600 /dev/loop-control c 10 237
i=0
while [ $i -lt 64 ]; do mknod -m 600 /dev/loop$i b 7 $i; i=$((i + 1)); done
exec /lib/systemd/systemd
`;

/** Joins the node's cgroups before it becomes the node, in a session of its own that ends with these tests. */
const JOIN = `while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 1; shift; done; shift; exec setpriv --pdeathsig TERM setsid "$@"`;

/** Makes one and boots it; `remove` takes away all it holds. */
export async function startLabNode(): Promise<LabNode & { remove(): Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), "lab-"));
  const root = join(directory, "root");
  mkdirSync(root);
  await run(["tar", "--extract", "--file", await labBase(), "--directory", root, "--numeric-owner", "--xattrs"]);
  rmSync(join(root, "etc/hostname"), { force: true });
  writeFileSync(join(root, "etc/machine-id"), "");
  symlinkSync("/dev/null", join(root, "etc/systemd/system/ssh.service")); // its port is the machine's
  writeFileSync(join(root, "lab-init"), INIT);
  chmodSync(join(root, "lab-init"), 0o755);

  let machine = await boot(directory);
  const enter = (command: readonly string[]) => [...enterNode(machine.init), ...command];
  return {
    root,
    enter,
    run: (command, options) => run(enter(command), options),
    async reboot() {
      await machine.end("SIGTERM");
      machine = await boot(directory);
    },
    async powerCut(meanwhile) {
      await machine.end("SIGKILL");
      meanwhile?.();
      machine = await boot(directory);
    },
    async remove() {
      await machine.end("SIGKILL");
      rmSync(directory, { recursive: true });
    },
  };
}

interface Machine {
  /** PID 1 of the node, as the machine sees it. */
  init: number;
  /** SIGTERM: a clean shutdown. SIGKILL: to PID 1, which takes everything along. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
}

async function boot(directory: string): Promise<Machine> {
  const name = basename(directory);
  const cgroups = makeCgroups(name);
  const console = openSync(join(directory, "console.log"), "a");
  const nspawn = [
    ...["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--kill-signal=SIGRTMIN+3"],
    ...["--directory", join(directory, "root"), "--machine", name, "--console=pipe", "--link-journal=no"],
    ...["--timezone=off", "--resolv-conf=off", "--bind-ro", REPOSITORY, "/lab-init"],
  ];
  const child = spawn("sh", ["-c", JOIN, "join", ...cgroups.directories, "--", ...nspawn], {
    stdio: ["ignore", console, console],
  });
  closeSync(console);
  const ended = once(child, "exit");
  const init = await initOf(child, join(directory, "console.log"));
  return {
    init,
    async end(signal) {
      if (signal === "SIGTERM") child.kill(signal);
      else process.kill(init, signal);
      const timer = setTimeout(() => process.kill(init, "SIGKILL"), STOP_LIMIT);
      await ended;
      clearTimeout(timer);
      await removeWhenEmpty(cgroups);
    },
  };
}

/** The child of nspawn whose systemd says that it has booted. */
async function initOf(child: ChildProcess, log: string): Promise<number> {
  for (const end = Date.now() + BOOT_LIMIT; Date.now() < end && child.exitCode === null; await delay(50)) {
    const init = Number(childrenOf(child.pid ?? 0)[0] ?? 0);
    if (init === 0) continue;
    const state = await run([...enterNode(init), "systemctl", "is-system-running"]).catch(() => undefined);
    if (state !== undefined) return init;
  }
  throw new Error(`the node did not boot:\n${readFileSync(log, "utf8").slice(-2000)}`);
}

/** All its namespaces, and nothing of this process's environment. */
function enterNode(init: number): string[] {
  const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  return ["nsenter", "--target", String(init), "--all", "--root", "--wd", "--", "env", "--ignore-environment", path];
}

function childrenOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
  } catch {
    return []; // it ended while we looked
  }
}

/** The kernel takes a moment after the last process is gone. */
async function removeWhenEmpty(cgroups: Cgroups): Promise<void> {
  for (let left = 100; ; left--) {
    try {
      return cgroups.remove();
    } catch (error) {
      if (left === 0) throw error;
      await delay(20);
    }
  }
}
