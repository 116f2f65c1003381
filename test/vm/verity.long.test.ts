import { expect, test } from "vitest";
import { describeWith } from "../needs.ts";
import { runTestsInGuest } from "./test-guest.ts";

describeWith(
  { root: true, programs: ["qemu-system-x86_64", "cpio", "depmod", "veritysetup", "getfattr"] },
  "layers under dm-verity, on Debian's kernel",
  () => {
    test("are opened by root hash, checked on every read, and given up", async () => {
      const guest = await runTestsInGuest({
        tests: ["verity.test.ts"],
        modules: ["dm-verity", "loop", "erofs", "overlay"],
        programs: ["veritysetup", "dmsetup", "mount", "umount", "losetup", "modprobe", "mknod", "getfattr", "cp"],
      });
      expect(guest.output, guest.output).toMatch(/Tests +\d+ passed \(\d+\)/);
      expect(guest.output).not.toMatch(/failed|skipped/);
      expect(guest.exitCode).toBe(0);
    });
  },
);
