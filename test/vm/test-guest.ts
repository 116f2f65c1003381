import { cp, mkdir, realpath, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "../../effects/process.ts";
import { withTemporaryDirectory } from "../../effects/temporary.ts";
import { copyLibraries, copyProgram, type GuestResult, runInGuest } from "./guest.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const SOURCES = [
  "effects",
  "hostd",
  "images",
  "keys",
  "manifests",
  "recipes/host/root",
  "terminal",
  "test",
  "package.json",
  "tsconfig.json",
];
/** Large, and of no use to a test that runs. */
const LEFT_OUT = /\/node_modules\/(?:@biomejs|@typescript|typescript|knip|@oxc-.*|oxc-parser|node)(?:\/|$)/;

/** Of the test runner's own; a dependency that comes with more libraries is missed by the guest at once. */
const NATIVE = ["@rolldown/binding-linux-x64-gnu/rolldown-binding.linux-x64-gnu.node"];

/** LVM without udev and its own daemons: it makes its device nodes itself, keeps no copies, and looks at one disk alone. */
const LVM_CONFIG = `
devices { obtain_device_list_from_udev=0 external_device_info_source="none" use_devicesfile=0 filter=["a|^/dev/vdb$|", "r|.*|"] }
activation { udev_sync=0 udev_rules=0 verify_udev_operations=0 monitoring=0 }
backup { backup=0 archive=0 }
global { thin_check_executable="/bin/thin_check" thin_dump_executable="/bin/thin_dump" thin_repair_executable="/bin/thin_repair" }
`;

export interface TestGuestOptions {
  /** Files of test/guest that run there. */
  tests: readonly string[];
  modules: readonly string[];
  programs: readonly string[];
  /** Files that those open by themselves, at the same place there. */
  files?: readonly string[];
  /** MiB of a second disk, /dev/vdb, empty. */
  scratch?: number;
  timeout?: number;
}

/** Runs tests of test/guest with our own runner inside a guest: the same sources and the same Node, on another kernel. */
export async function runTestsInGuest(options: TestGuestOptions): Promise<GuestResult> {
  return await withTemporaryDirectory(join(tmpdir(), "ostler-test-guest"), async (work) => {
    const tree = join(work, "tree");
    await fillTree(tree, options);
    const [disk, scratch] = [join(work, "disk"), join(work, "scratch")];
    await run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", "-d", tree, disk, "1500M"]);
    await writeFile(scratch, "");
    await truncate(scratch, (options.scratch ?? 64) * 1024 * 1024);
    const files = options.tests.map((name) => `test/guest/${name}`).join(" ");
    return await runInGuest({
      modules: options.modules,
      disks: [disk, scratch],
      memory: 1536,
      timeout: options.timeout ?? 600_000,
      script: `
        mkdir /disk; mount -t ext4 /dev/vda /disk
        for place in proc sys dev run; do mount -o bind /$place /disk/$place; done
        mkdir -p /run/lock/lvm /run/lvm
        chroot /disk /bin/sh -c 'cd /work && PATH=/bin HOME=/root NO_COLOR=1 CI=1 \\
          exec node node_modules/vitest/vitest.mjs run --config test/guest/vitest.config.ts ${files}'`,
    });
  });
}

async function fillTree(tree: string, { programs, files = [] }: TestGuestOptions): Promise<void> {
  for (const name of ["bin", "etc/lvm", "proc", "sys", "dev", "run", "tmp", "root", "usr", "work"]) {
    await mkdir(join(tree, name), { recursive: true });
  }
  for (const program of [process.execPath, "sh", ...programs]) await copyProgram(program, tree);
  for (const file of files) await cp(file, join(tree, file));
  for (const addon of NATIVE) await copyLibraries(join(ROOT, "node_modules", addon), tree);
  await writeFile(join(tree, "etc/lvm/lvm.conf"), LVM_CONFIG);
  await cp("/etc/mke2fs.conf", join(tree, "etc/mke2fs.conf"));
  await writeFile(join(tree, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  await writeFile(join(tree, "etc/group"), "root:x:0:\n");
  for (const name of SOURCES) await cp(join(ROOT, name), join(tree, "work", name), { recursive: true });
  const modules = await realpath(join(ROOT, "node_modules"));
  await mkdir(dirname(join(tree, "work/node_modules")), { recursive: true });
  await cp(modules, join(tree, "work/node_modules"), {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !LEFT_OUT.test(path.replace(modules, "/node_modules")),
  });
}
