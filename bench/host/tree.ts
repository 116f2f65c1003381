import { chmod, copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { run } from "../../effects/process.ts";
import { hostdPackage } from "./deb.ts";

// A Debian of the packages of recipes/host, as its installer would make it: kernel, initramfs-tools and GRUB in place of a
// signed image. Both rivals start from it.

const PACKAGES = [
  ...["systemd", "systemd-sysv", "systemd-resolved", "systemd-timesyncd", "dbus", "udev", "kmod"],
  ...["openssh-server", "openssh-sftp-server", "ca-certificates", "iproute2", "nftables", "bubblewrap", "zstd"],
  ...["libstdc++6", "qemu-system-x86", "qemu-utils", "ovmf", "lvm2", "thin-provisioning-tools"],
  ...["btrfs-progs", "e2fsprogs", "dosfstools", "linux-image-cloud-amd64", "initramfs-tools"],
  ...["grub-efi-amd64-bin", "grub-efi-amd64-signed", "grub2-common", "rauc-service", "efibootmgr"],
];
const OPTIONS = "--repository /var/lib/hostd/repository --root /etc/hostd/root.json --channel production";
const SERVICES = "systemd-networkd systemd-resolved systemd-timesyncd ssh hostd";
const MASKED = "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer";

export const COMMAND_LINE = "console=ttyS0,115200 panic=1";

/** What a rival's machine has of ostler: the bundle, its unit, the root that hostd trusts, and the key that may log in. */
export interface Seed {
  bundle: string;
  unit: string;
  trustedRoot: string;
  authorizedKey: string;
}

export interface Tree {
  path: string;
  seed: Seed;
  /** Of its kernel. */
  release: string;
}

/** Makes the tree, or takes the one of an earlier bench, and seeds it. */
export async function debianTree(tree: string, seed: Seed): Promise<Tree> {
  const done = `${tree}.done`;
  if ((await readFile(done, "utf8").catch(() => "")) !== PACKAGES.join(" ")) {
    await rm(tree, { recursive: true, force: true });
    await run(["mmdebstrap", "--variant=minbase", `--include=${PACKAGES.join(",")}`, "bookworm", tree]);
    await writeFile(done, PACKAGES.join(" "));
  }
  await writeTree(tree, {
    "etc/hostname": "node-1\n",
    "etc/systemd/network/90-dhcp.network": "[Match]\nName=en*\n[Network]\nDHCP=yes\n",
    "etc/default/grub": `GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="${COMMAND_LINE}"\nGRUB_TERMINAL=console\n`,
    "etc/hostd/serve.env": `HOSTD_OPTIONS=${OPTIONS}\n`,
    "etc/hostd/root.json": await readFile(seed.trustedRoot, "utf8"),
    "etc/systemd/system/hostd.service": await readFile(seed.unit, "utf8"),
    "root/.ssh/authorized_keys": seed.authorizedKey,
  });
  await chmod(join(tree, "root/.ssh"), 0o700);
  await mkdir(join(tree, "var/lib/hostd/repository"), { recursive: true });
  await copyFile(join(seed.bundle, "node"), join(tree, "usr/bin/node"));
  await copyFile(await hostdPackage(dirname(tree), seed.bundle, 1), join(tree, "hostd.deb"));
  const script = [
    "dpkg -i /hostd.deb >/dev/null",
    "rm /hostd.deb",
    "ln -sf ../lib/hostd/hostd /usr/bin/hostd",
    `systemctl --quiet enable ${SERVICES}`,
    `systemctl --quiet mask getty.target ${MASKED}`,
  ];
  await run(["chroot", tree, "sh", "-ec", script.join("\n")]);
  const release = (await run(["ls", join(tree, "lib/modules")])).stdout.trim();
  return { path: tree, seed, release };
}

/** Files below a directory: path -> text. */
export async function writeTree(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const file = join(directory, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}
