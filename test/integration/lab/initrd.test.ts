import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeDurably } from "../../../effects/durable.ts";
import { rootDigestOf } from "../../../images/boot/roots.ts";
import { type Disk, makeDisk } from "../../hostd/disk.ts";
import { describeWith } from "../../needs.ts";

const INIT = join(import.meta.dirname, "../../../recipes/host/initrd/init");
const LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const OTHER = "0".repeat(64);

/** What of the initrd would act on this machine: says what it is asked for, and does nothing. */
const PROGRAMS = `
for name in mount umount insmod dmsetup; do eval "$name() { echo $name \\"\\$*\\" >>/asked; }"; done
# the kernel's: eight devices are there, and more come to be where the next free one is asked for
losetup() {
  case $1 in
  -f) n=$(ls /used | wc -l); >/dev/loop$n; echo /dev/loop$n ;;
  -r) [ -e "$2" ] && >"/used/\${2##*/}" ;;
  esac
}
. /init`;

describeWith({ root: true, programs: ["busybox", "mkfs.ext4", "losetup"] }, "the first process of a host", () => {
  let top: string;
  const at = (path: string) => join(top, path);
  const host = (path: string) => at(join("data/var/lib/hostd/host", path));
  const put = (path: string, text: string) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };

  beforeEach(() => {
    top = mkdtempSync(join(tmpdir(), "initrd-"));
    for (const place of ["bin", "used", "sys/firmware/efi/efivars", "proc/sys/kernel/random"]) {
      mkdirSync(at(place), { recursive: true });
    }
    copyFileSync("/usr/bin/busybox", at("bin/busybox"));
    copyFileSync(INIT, at("init"));
    writeFileSync(at("bin/switch_root"), "#!/bin/busybox sh\necho switched\n", { mode: 0o755 });
    put(at("proc/uptime"), "3.14 2.72\n");
    put(at("proc/sys/kernel/random/uuid"), "01234567-89ab-cdef-0123-456789abcdef\n");
    put(at("sys/class/block/vda2/uevent"), "DEVNAME=vda2\nPARTNAME=ostler-data\n");
    put(at("dev/kmsg"), "");
    for (let device = 0; device < 8; device++) put(at(`dev/loop${device}`), "");
  });
  afterEach(() => {
    spawnSync("umount", ["--lazy", "--recursive", at("data")]);
    rmSync(top, { recursive: true, force: true });
  });

  /** A data partition with a root of so many layers. */
  function layDown(layers: number): string {
    const roots = Array.from(
      { length: layers },
      (_, index) => String(index % 10).repeat(64 - index) + "a".repeat(index),
    );
    for (const root of roots) put(at(`data/var/lib/hostd/layers/${root}.erofs`), "");
    const list = `ostler-roots 1\n${roots.map((root) => `${root} 4096\n`).join("")}`;
    const digest = rootDigestOf(list);
    put(host(`roots/${digest}`), list);
    put(host("good"), `${digest}\n`);
    put(host("identity/etc/hostname"), "node-1\n");
    return digest;
  }

  function start(root: string): string {
    put(at("proc/cmdline"), `ostler.root=${root} panic=1\n`);
    const { stdout, stderr } = spawnSync("chroot", [top, "/bin/busybox", "sh", "-c", PROGRAMS]);
    return `${stdout}${stderr}${readFileSync(at("dev/kmsg"), "utf8")}`;
  }

  test("opens a root of more layers than the kernel makes loop devices for beforehand", () => {
    expect(start(layDown(12))).toContain("switched");
    const devices = readFileSync(at("asked"), "utf8").match(/verity 1 \S+ \S+/g);
    expect(devices).toEqual(Array.from({ length: 12 }, (_, n) => `verity 1 /dev/loop${n} /dev/loop${n}`));
  });

  test.each([
    ["the last good one", { good: true, counted: false }, true],
    ["one on trial, which the loader counts", { good: false, counted: true }, false],
    [
      "another that the loader took for proven: it would be taken again and again",
      { good: false, counted: false },
      true,
    ],
  ])("that cannot open its root, %s: whether it asks for recovery", (_what, { good, counted }, asks) => {
    const root = layDown(1);
    rmSync(at("data/var/lib/hostd/layers"), { recursive: true });
    if (!good) put(host("good"), `${OTHER}\n`);
    if (counted) put(at(`sys/firmware/efi/efivars/LoaderBootCountPath-${LOADER}`), "");
    expect(start(root)).not.toContain("switched");
    expect(readFileSync(host("boot.log"), "utf8")).toMatch(new RegExp(`^${root} initrd: expected layer`));
    const once = at(`sys/firmware/efi/efivars/LoaderEntryOneShot-${LOADER}`);
    expect(existsSync(once) ? readFileSync(once).subarray(4).toString("utf16le") : "").toBe(
      asks ? "recovery.efi\0" : "",
    );
  });

  test("has on the disk what it made at its first start, before anybody can see it", async () => {
    const disk: Disk = await makeDisk("ext4", top, at("data"));
    const root = layDown(1);
    spawnSync("sync", ["-f", at("data")]);
    expect(start(root)).toContain("switched");
    await writeDurably(host("good"), `${root}\n`); // as hostd does, which takes the names along
    disk.cutPower();
    await disk.repair();
    expect(readFileSync(host(`etc/${root}/declared/hostname`), "utf8")).toBe("node-1\n");
    expect(readFileSync(host(`etc/${root}/declared/machine-id`), "utf8")).toBe("0123456789abcdef0123456789abcdef\n");
  });
});
