import { copyFile, cp, mkdir, readFile, realpath, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { startQemu } from "../../builder/ci/qemu.ts";
import { run } from "../../effects/process.ts";
import { withTemporaryDirectory } from "../../effects/temporary.ts";
import { openConsole, tailOf } from "./console.ts";
import { debianKernel, moduleFiles } from "./kernel.ts";
import { PROCESSOR } from "./machine.ts";

export interface GuestOptions {
  /** Shell text, run by busybox sh as root with `set -e`; /proc, /sys, /dev, /tmp and /run are there. */
  script: string;
  /** Kernel modules to load before it, without what they need: `dm-thin-pool`, `btrfs`. */
  modules?: readonly string[];
  /** Programs of this machine that the guest has too, with their libraries: `lvm`, or a path. */
  programs?: readonly string[];
  /** Path in the guest -> file or directory of this machine. */
  files?: Readonly<Record<string, string>>;
  /** Raw images: /dev/vda, /dev/vdb, ... */
  disks?: readonly string[];
  /** MiB; default 512. All programs and files lie in it. */
  memory?: number;
  /** Milliseconds until it is killed; default two minutes. */
  timeout?: number;
}

export interface GuestResult {
  exitCode: number;
  /** What the script wrote, both streams. */
  output: string;
  /** What the kernel said. */
  console: string;
}

/** Modules that every guest has: its disks are virtio. */
const MODULES = ["virtio_pci", "virtio_blk"];
const EXIT = /guest: exit code (\d+)\n$/;

/**
 * Boots a throw-away machine with Debian's kernel and busybox, runs a script in it, and gives what it wrote. For what
 * this machine's kernel lacks (device-mapper) or must not be asked to do. A guest that does not come to the script's
 * end is an error that shows its last lines.
 */
export async function runInGuest(options: GuestOptions): Promise<GuestResult> {
  return await withTemporaryDirectory(join(tmpdir(), "ostler-guest"), async (work) => {
    const kernel = await debianKernel();
    const modules = await moduleFiles(kernel, [...MODULES, ...(options.modules ?? [])]);
    const root = join(work, "root");
    await fillRoot(root, options, modules);
    const initrd = join(work, "initrd");
    await packInitrd(root, initrd);

    const [kernelLog, outputLog] = [join(work, "console"), join(work, "output")];
    await writeFile(outputLog, "");
    const console = openConsole(kernelLog);
    const machine = startQemu(
      {
        disks: options.disks ?? [],
        memory: options.memory ?? 512,
        processor: PROCESSOR,
        kernel: { image: kernel.image, initrd, commandLine: "console=ttyS0 panic=-1 quiet rdinit=/init" },
        extra: ["-serial", `file:${outputLog}`],
      },
      console.write,
    );
    const timer = setTimeout(machine.kill, options.timeout ?? 120_000);
    const end = await machine.ended.finally(() => clearTimeout(timer));
    const written = (await readFile(outputLog, "utf8")).replaceAll("\r", "");
    const exit = EXIT.exec(written);
    if (exit === null) {
      throw new Error(
        `guest: expected the script's end, got "${end}"\n${tailOf(console.text)}\n--- output\n${tailOf(written)}`,
      );
    }
    return { exitCode: Number(exit[1]), output: written.slice(0, exit.index), console: console.text };
  });
}

async function fillRoot(root: string, options: GuestOptions, modules: readonly string[]): Promise<void> {
  for (const name of ["bin", "etc", "proc", "sys", "dev", "tmp", "run", "modules", "usr"]) {
    await mkdir(join(root, name), { recursive: true });
  }
  await symlink("../bin", join(root, "usr/bin"));
  await symlink("bin", join(root, "sbin"));
  await symlink("../bin", join(root, "usr/sbin"));
  await copyFile("/bin/busybox", join(root, "bin/busybox"));
  for (const [index, file] of modules.entries()) {
    await copyFile(file, join(root, "modules", `${String(index).padStart(3, "0")}-${basename(file)}`));
  }
  for (const program of options.programs ?? []) await copyProgram(program, root);
  for (const [path, file] of Object.entries(options.files ?? {})) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await cp(file, join(root, path), { recursive: true, dereference: true });
  }
  await writeFile(join(root, "init"), INIT, { mode: 0o755 });
  await writeFile(join(root, "script"), `set -e\n${options.script}\n`);
}

/** The machine's console is the kernel's; the script has a serial line of its own, so that neither cuts the other. */
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root LC_ALL=C
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp; mount -t tmpfs run /run; mkdir -p /dev/pts /root
mount -t devpts pts /dev/pts
for module in /modules/*; do insmod "$module" || echo "init: $module was not loaded"; done
stty -F /dev/ttyS1 raw 2>/dev/null
sh /script </dev/null >/dev/ttyS1 2>&1
printf 'guest: exit code %s\\n' $? >/dev/ttyS1
sync
poweroff -f
`;

/** A program and the libraries that its loader would take, each at its own path. */
export async function copyProgram(program: string, root: string): Promise<void> {
  const found = program.includes("/") ? program : (await run(["which", program])).stdout.trim();
  await copyAll(new Map([[join("bin", basename(program)), await realpath(found)]]), root);
  await copyLibraries(found, root);
}

/** What the loader would take for a program or a library. */
export async function copyLibraries(binary: string, root: string): Promise<void> {
  const copies = new Map<string, string>();
  const { stdout } = await run(["ldd", binary]).catch(() => ({ stdout: "" }));
  for (const [, library = ""] of stdout.matchAll(/(\/\S+) \(0x/g)) copies.set(library, await realpath(library));
  await copyAll(copies, root);
}

async function copyAll(copies: ReadonlyMap<string, string>, root: string): Promise<void> {
  for (const [target, source] of copies) {
    const path = join(root, target);
    await mkdir(dirname(path), { recursive: true });
    if ((await stat(path).catch(() => undefined)) === undefined) await copyFile(source, path);
  }
}

async function packInitrd(root: string, initrd: string): Promise<void> {
  const pack = 'cd "$1" && find . | cpio -o -H newc --quiet >"$2"';
  await run(["sh", "-c", pack, "sh", root, initrd]);
}
