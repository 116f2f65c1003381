import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith } from "../needs.ts";
import { runInGuest } from "./guest.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "ostler-guest-test-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describeWith({ root: true, programs: ["qemu-system-x86_64", "cpio", "depmod"] }, "runInGuest", () => {
  test("runs the script on another kernel, with modules, programs, files and disks, and gives its exit code", async () => {
    const [disk, note] = [join(directory, "disk"), join(directory, "note")];
    await writeFile(disk, "written outside\n");
    await truncate(disk, 64 * 1024 * 1024);
    await writeFile(note, "a file\n");
    const guest = await runInGuest({
      modules: ["dm-mod"],
      programs: ["dmsetup"],
      files: { "/opt/note": note },
      disks: [disk],
      script: `
        cat /opt/note
        head -n 1 /dev/vda
        dmsetup create broken --table '0 8 error'
        dmsetup table broken
        exit 7`,
    });
    expect(guest.output).toBe("a file\nwritten outside\n0 8 error \n");
    expect(guest.exitCode).toBe(7);
  });

  describe("a guest that does not reach the script's end", () => {
    test("is an error with what it last wrote", async () => {
      const ended = runInGuest({ script: "echo before the end; echo c > /proc/sysrq-trigger" });
      await expect(ended).rejects.toThrow(/expected the script's end[\s\S]*before the end/);
    });
  });
});
