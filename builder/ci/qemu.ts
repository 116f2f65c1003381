import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";

const FIRMWARE = "/usr/share/OVMF";
export const BLANK_VARS = `${FIRMWARE}/OVMF_VARS_4M.fd`;

export interface QemuOptions {
  /** Raw images, in the order that firmware and kernel see them. */
  disks: readonly string[];
  /** The disks have a write cache that the machine flushes; without it nobody waits for a flush. */
  writeCache?: boolean | undefined;
  /** UEFI boot from the first disk with this variable store; without it the kernel is started directly. */
  vars?: string | undefined;
  /** Firmware that enforces signatures once keys are enrolled. */
  secureBoot?: boolean | undefined;
  /** The firmware goes by the boot order in its variables alone; without it the first disk comes first, and entries of others are dropped. */
  ownBootOrder?: boolean | undefined;
  kernel?: { image: string; initrd: string; commandLine: string } | undefined;
  /** MiB. */
  memory: number;
  /** Port of 127.0.0.1 that leads to port 22 of the machine; without it there is no network. */
  sshPort?: number | undefined;
  /** Ports of 127.0.0.1 that lead to other ports of the machine; with `sshPort` alone. */
  forward?: readonly { port: number; to: number }[] | undefined;
  /** The machine may reach other networks; without it only the port above leads in, and nothing out. */
  network?: boolean | undefined;
  /** With the processor's help (/dev/kvm); without it all is emulated, which runs anywhere, some ten times slower. */
  kvm?: boolean | undefined;
  /** QEMU's name of the processor; default the one that can do most. */
  processor?: string | undefined;
  /** QEMU's own arguments for what a test has specially, such as a second network card. */
  extra?: readonly string[] | undefined;
}

/** The command line of one run; a reset of the machine ends it. Pure. */
export function qemuCommand(options: QemuOptions): string[] {
  const { vars, secureBoot = false, kernel, disks, memory, sshPort, forward = [] } = options;
  const code = `${FIRMWARE}/OVMF_CODE_4M${secureBoot ? ".secboot" : ""}.fd`;
  return [
    "qemu-system-x86_64",
    ...["-accel", options.kvm === true ? "kvm" : "tcg,thread=multi", "-smp", "2"],
    ...["-cpu", options.processor ?? "max", "-m", String(memory)],
    ...["-machine", secureBoot ? "q35,smm=on" : "q35", "-no-reboot", "-nodefaults", "-display", "none"],
    ...(secureBoot ? ["-global", "driver=cfi.pflash01,property=secure,value=on"] : []),
    ...(vars === undefined
      ? []
      : [`if=pflash,format=raw,unit=0,readonly=on,file=${code}`, `if=pflash,format=raw,unit=1,file=${vars}`].flatMap(
          (drive) => ["-drive", drive],
        )),
    ...(kernel === undefined ? [] : ["-kernel", kernel.image, "-initrd", kernel.initrd, "-append", kernel.commandLine]),
    ...disks.flatMap((file, index) => [
      // cache=unsafe: the host does not lose power in a test; a killed QEMU keeps every write that the guest issued
      ...[
        "-drive",
        `if=none,id=disk${index},format=raw,cache=${options.writeCache === true ? "writeback" : "unsafe"},discard=unmap,file=${file}`,
      ],
      ...[
        "-device",
        `virtio-blk-pci,drive=disk${index},serial=disk${index}${index === 0 && options.ownBootOrder !== true ? ",bootindex=1" : ""}`,
      ],
    ]),
    ...(sshPort === undefined
      ? ["-nic", "none"]
      : [
          "-nic",
          [
            `user,model=virtio-net-pci,ipv6=off,restrict=${options.network === true ? "off" : "on"}`,
            ...[{ port: sshPort, to: 22 }, ...forward].map(({ port, to }) => `hostfwd=tcp:127.0.0.1:${port}-:${to}`),
          ].join(","),
        ]),
    ...["-device", "virtio-rng-pci"],
    ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
    ...["-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control"],
    ...(options.extra ?? []),
  ];
}

/** Why a run of QEMU ended: the machine reset itself, powered off, or the process was killed or failed. */
export type RunEnd = "reset" | "off" | "killed" | "failed";

export interface QemuRun {
  readonly pid: number;
  ended: Promise<RunEnd>;
  /** Presses the power button. */
  powerButton(): void;
  /** What a power cut is to the machine: it is gone between two instructions. */
  kill(): void;
}

/** Starts QEMU; what the machine writes on its serial line goes to `onConsole`, QEMU's own complaints too. */
export function startQemu(options: QemuOptions, onConsole: (chunk: Buffer) => void): QemuRun {
  const [program = "", ...args] = qemuCommand(options);
  const child: ChildProcess = spawn(program, args, { stdio: ["pipe", "pipe", "pipe", "pipe"] });
  const monitor = child.stdio[3] as Duplex;
  let reason: RunEnd | undefined;
  child.stdout?.on("data", onConsole);
  child.stderr?.on("data", onConsole);
  const lines = createInterface({ input: monitor });
  for (const end of [monitor, lines]) end.on("error", () => {}); // the other end dies with QEMU; its exit tells
  lines.on("line", (line) => {
    const { event, data } = JSON.parse(line) as { event?: string; data?: { reason?: string } };
    if (event === "SHUTDOWN") reason = data?.reason === "guest-reset" ? "reset" : "off";
  });
  const send = (command: string) => monitor.write(`${JSON.stringify({ execute: command })}\n`);
  send("qmp_capabilities");
  const ended = new Promise<RunEnd>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (_, signal) => resolve(signal !== null ? "killed" : (reason ?? "failed")));
  });
  return {
    pid: child.pid ?? 0,
    ended,
    powerButton: () => send("system_powerdown"),
    kill: () => child.kill("SIGKILL"),
  };
}
