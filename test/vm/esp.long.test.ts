import { expect, test } from "vitest";
import { describeWith } from "../needs.ts";
import { runTestsInGuest } from "./test-guest.ts";

describeWith(
  { root: true, programs: ["qemu-system-x86_64", "cpio", "depmod", "mkfs.vfat", "mtype"] },
  "the ESP as a power cut finds it, on Debian's kernel",
  () => {
    test("is whole after every change of it", async () => {
      const guest = await runTestsInGuest({
        tests: ["esp.test.ts"],
        modules: ["vfat", "nls_cp437", "nls_ascii"],
        programs: ["mkfs.vfat", "mount", "dd", "mtype", "sync", "sha256sum"],
      });
      expect(guest.output, guest.output).toMatch(/Tests +\d+ passed \(\d+\)/);
      expect(guest.output).not.toMatch(/failed|skipped/);
      expect(guest.exitCode).toBe(0);
    });
  },
);
