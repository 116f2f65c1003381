import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../effects/process.ts";
import { makeExt4, makeVfat, roomFor } from "./disk.ts";
import { type Tree, writeTree } from "./tree.ts";

// What RAUC writes: slots as files, and the signed bundles that carry them.

/** MiB of the slot that firmware starts from. */
export const EFI_SIZE = 128;

const MARK_GOOD = `[Unit]
Description=Good once hostd is well
After=hostd.service rauc.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'until hostd health; do sleep 1; done; rauc status mark-good'

[Install]
WantedBy=multi-user.target
`;

const SYSTEM = `[system]
compatible=bench
bootloader=efi
statusfile=/data/rauc.status
bundle-formats=verity

[keyring]
path=/etc/rauc/keyring.pem

${["A", "B"].map((name, index) => slotOf(name, index)).join("\n")}`;

function slotOf(name: string, index: number): string {
  const place = `/dev/disk/by-partlabel`;
  return `[slot.rootfs.${index}]
device=${place}/root-${name}
type=ext4
bootname=${name}

[slot.efi.${index}]
device=${place}/efi-${name}
type=vfat
parent=rootfs.${index}
`;
}

/** What one version's slots hold: an ext4 and a vfat with kernel and initrd, which firmware starts by itself. */
export interface Slots {
  root: string;
  efi: string;
  /** MiB. */
  size: number;
}

/** The key that signs bundles, and what machines know of it. */
export async function makeKey(work: string): Promise<void> {
  const request = ["-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=bench", "-days", "3650"];
  await run(["openssl", "req", ...request, "-keyout", join(work, "key.pem"), "-out", join(work, "cert.pem")]);
}

/** The tree as a version of its own, with `files` in it; units among them are switched on. */
export async function makeSlots(
  work: string,
  { path, release }: Tree,
  version: number,
  files: Readonly<Record<string, string>>,
  size?: number,
): Promise<Slots> {
  const tree = join(work, "tree");
  await rm(tree, { recursive: true, force: true });
  await run(["cp", "-a", "--reflink=auto", path, tree]);
  const hostd = join(tree, "usr/lib/hostd/hostd.cjs");
  await writeFile(hostd, `${await readFile(hostd, "utf8")}\n// ${version}\n`);
  await writeTree(tree, {
    "etc/fstab": "PARTLABEL=data /data ext4 defaults 0 2\n/data/hostd /var/lib/hostd none bind 0 0\n",
    "etc/rauc/system.conf": SYSTEM,
    "etc/rauc/keyring.pem": await readFile(join(work, "cert.pem"), "utf8"),
    "etc/systemd/system/rauc-good.service": MARK_GOOD,
    "data/.keep": "",
    ...files,
  });
  const units = ["rauc-good.service", ...Object.keys(files).map((file) => file.split("/").at(-1) ?? "")];
  for (const unit of units) {
    await run(["ln", "-sf", `../${unit}`, join(tree, "etc/systemd/system/multi-user.target.wants", unit)]);
  }
  const room = size ?? (await roomFor(tree, 128));
  const slots = { root: join(work, `root-${version}.ext4`), efi: join(work, `efi-${version}.vfat`), size: room };
  await run(["cp", "-L", join(tree, `boot/vmlinuz-${release}`), join(work, "vmlinuz")]);
  await run(["cp", "-L", join(tree, `boot/initrd.img-${release}`), join(work, "initrd")]);
  await makeExt4(slots.root, "root", room, tree);
  await makeVfat(slots.efi, EFI_SIZE, { "linux.efi": join(work, "vmlinuz"), "initrd.img": join(work, "initrd") });
  await rm(tree, { recursive: true });
  return slots;
}

/** A signed bundle of whole slots, in a directory of its own. */
export async function makeBundle(work: string, { root, efi }: Slots, version: number): Promise<string> {
  const [content, bundle] = [join(work, "content"), join(work, `bundle-${version}`)];
  await rm(content, { recursive: true, force: true });
  for (const folder of [content, bundle]) await mkdir(folder);
  await run(["mv", root, join(content, "root.ext4")]);
  await run(["mv", efi, join(content, "efi.vfat")]);
  const images = "[image.rootfs]\nfilename=root.ext4\n\n[image.efi]\nfilename=efi.vfat\n";
  const manifest = `[update]\ncompatible=bench\nversion=${version}\n\n[bundle]\nformat=verity\n\n${images}`;
  await writeFile(join(content, "manifest.raucm"), manifest);
  const signed = [`--cert=${join(work, "cert.pem")}`, `--key=${join(work, "key.pem")}`];
  await run([
    "rauc",
    ...signed,
    "--mksquashfs-args=-comp zstd -Xcompression-level 3",
    "bundle",
    content,
    join(bundle, "update.raucb"),
  ]);
  await rm(content, { recursive: true });
  return bundle;
}
