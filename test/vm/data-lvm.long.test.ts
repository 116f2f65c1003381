import { expect, test } from "vitest";
import { describeWith } from "../needs.ts";
import { runTestsInGuest } from "./test-guest.ts";

const LVM = [
  "lvm",
  "lvs",
  "lvcreate",
  "lvremove",
  "lvrename",
  "lvchange",
  "lvextend",
  "vgcreate",
  "vgchange",
  "vgremove",
];
const FILE_SYSTEMS = ["mkfs.ext4", "e2fsck", "debugfs", "mount", "umount", "mountpoint", "losetup"];
const THIN = ["thin_check", "thin_dump", "thin_repair"];
const OTHERS = ["strace", "cp", "du", "modprobe"];
const HERE = ["qemu-system-x86_64", "cpio", "depmod", "lvm", "thin_check", "strace"];

describeWith({ root: true, programs: HERE }, "data on LVM thin volumes, on Debian's kernel", () => {
  test("keeps the contract of every data driver, and guards its pool", async () => {
    const guest = await runTestsInGuest({
      tests: ["data-lvm.test.ts"],
      modules: ["dm-thin-pool", "dm-snapshot"],
      programs: [...LVM, ...FILE_SYSTEMS, ...THIN, ...OTHERS],
      scratch: 1024,
      timeout: 850_000,
    });
    expect(guest.output, guest.output).toMatch(/Tests +\d+ passed \(\d+\)/);
    expect(guest.output).not.toMatch(/failed|skipped/);
    expect(guest.exitCode).toBe(0);
  });
});
