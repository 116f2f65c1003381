import { expect, test } from "vitest";
import { describeWith } from "../needs.ts";
import { runTestsInGuest } from "./test-guest.ts";

/** By which mtools tells the names of a FAT. */
const CODE_PAGE = ["gconv-modules.cache", "IBM850.so"].map((name) => `/usr/lib/x86_64-linux-gnu/gconv/${name}`);

describeWith(
  { root: true, programs: ["qemu-system-x86_64", "cpio", "depmod", "mkfs.vfat", "mtype"] },
  "the ESP as a power cut finds it, on Debian's kernel",
  () => {
    test("is whole after every change of it", async () => {
      const guest = await runTestsInGuest({
        tests: ["esp.test.ts"],
        modules: ["vfat", "nls_cp437", "nls_ascii"],
        programs: ["mkfs.vfat", "mount", "dd", "mtype", "sync", "sha256sum"],
        files: CODE_PAGE,
      });
      expect(guest.output, guest.output).toMatch(/Tests +\d+ passed \(\d+\)/);
      expect(guest.output).not.toMatch(/failed|skipped/);
      expect(guest.exitCode).toBe(0);
    });
  },
);
