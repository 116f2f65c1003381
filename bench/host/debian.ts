import { rm } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../effects/process.ts";
import { bootMachine } from "../../test/vm/machine.ts";
import { aptRepository, hostdPackage, laterPackage } from "./deb.ts";
import { assembleDisk, makeExt4, makeVfat } from "./disk.ts";
import { noticed } from "./outside.ts";
import { COMMAND_LINE, type Tree, writeTree } from "./tree.ts";
import { type Change, HEALTHY, reboot, START, send, startOf, type Way } from "./way.ts";

const ON_NODE = "/var/local/repository";
const SOURCE = `deb [trusted=yes] file:${ON_NODE} ./`;
const UPGRADE = "export DEBIAN_FRONTEND=noninteractive; apt-get -q update && apt-get -q -y upgrade";
/** Milliseconds for apt on a busy, emulated machine. */
const APT = 30 * 60_000;
const [ESP, ROOT] = [256, 6144];

/** The Debian way: a root that is written to, GRUB, `apt-get upgrade` from a repository on the machine, a reboot. */
export async function debianWay(directory: string, tree: Tree, sshKey: string): Promise<Way> {
  const disk = join(directory, "debian.img");
  const kernel = await fetchKernel(directory, tree);
  await makeDisk(directory, tree, disk);
  const machine = await bootMachine({ name: "bench-debian", disk, sshKey });
  await machine.waitForSsh(HEALTHY, START);
  await machine.ssh(`rm -rf /etc/apt/sources.list.d/* && echo '${SOURCE}' >/etc/apt/sources.list`);
  let version = 1;

  const upgrade = async (what: { kernel: boolean; reboot: boolean }): Promise<Change> => {
    version += 1;
    const packages = [await hostdPackage(directory, tree.seed.bundle, version)];
    if (what.kernel) packages.push(await laterPackage(kernel, directory, version));
    const repository = join(directory, "apt");
    const bytes = await aptRepository(repository, packages);
    const seen = await noticed(machine, async () => {
      await send(machine, sshKey, repository, ON_NODE);
      await machine.ssh(UPGRADE, { timeout: APT });
      if (what.reboot) await reboot(machine);
      await machine.waitForSsh(`tail -n1 /usr/lib/hostd/hostd.cjs | grep -qx '// ${version}' && ${HEALTHY}`, START);
    });
    return { ...seen, bytes };
  };
  return {
    name: "Debian, apt-get upgrade",
    start: () => startOf(machine),
    upgrades: {
      hostd: () => upgrade({ kernel: false, reboot: true }),
      "hostd, no reboot": () => upgrade({ kernel: false, reboot: false }),
      "hostd and kernel": () => upgrade({ kernel: true, reboot: true }),
    },
    revert: undefined,
    close: async () => void (await machine.powerCut()),
  };
}

async function makeDisk(directory: string, { path, release }: Tree, disk: string): Promise<void> {
  const root = join(directory, "debian-root");
  await rm(root, { recursive: true, force: true });
  await run(["cp", "-a", "--reflink=auto", path, root]);
  const linux = `linux /boot/vmlinuz-${release} root=LABEL=root ro ${COMMAND_LINE}\ninitrd /boot/initrd.img-${release}\n`;
  await writeTree(root, {
    "boot/grub/grub.cfg": `set timeout=0\nmenuentry Debian {\nsearch --no-floppy --label root --set=root\n${linux}}\n`,
    "etc/fstab": "LABEL=root / ext4 errors=remount-ro 0 1\n",
  });
  await writeTree(directory, {
    "esp-grub.cfg":
      "search --no-floppy --label root --set=root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n",
  });
  const [esp, data] = [join(directory, "debian-esp"), join(directory, "debian-ext4")];
  await makeVfat(esp, ESP, {
    "EFI/BOOT/BOOTX64.EFI": join(root, "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"),
    "EFI/debian/grub.cfg": join(directory, "esp-grub.cfg"),
  });
  await makeExt4(data, "root", ROOT, root);
  await assembleDisk(disk, [
    { name: "ESP", type: "ef00", size: ESP, from: esp },
    { name: "root", type: "8300", size: ROOT, from: data },
  ]);
  await rm(`${disk}.vars`, { force: true });
  for (const file of [root, esp, data]) await rm(file, { recursive: true });
}

/** The package of the kernel that the tree has, from where the tree came from. */
async function fetchKernel(directory: string, { release }: Tree): Promise<string> {
  const folder = join(directory, "kernel");
  await run([
    "sh",
    "-ec",
    `rm -rf ${folder} && mkdir -p ${folder} && cd ${folder} && apt-get -q download linux-image-${release}`,
  ]);
  const { stdout } = await run(["ls", folder]);
  return join(folder, stdout.trim());
}
