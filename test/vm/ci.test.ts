import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { homeOf, initHome } from "../../keys/authority.ts";
import { describeWith } from "../needs.ts";
import { runOstler } from "../run-ostler.ts";

const EFI = "/usr/lib/systemd/boot/efi";
const PROGRAMS = ["qemu-system-x86_64", "sgdisk", "mkfs.vfat", "mcopy", "mkfs.btrfs", "ssh", "ssh-keygen"];

// What a good host does in `ostler ci` costs minutes and is shown by the demo; what must never be green is shown here.

describeWith({ root: true, programs: PROGRAMS }, "ostler ci of a host image", () => {
  test("is red where the machine does not start, and keeps and shows what it said", async () => {
    const home = await mkdtemp(join(tmpdir(), "ostler-vm-ci-"));
    try {
      await initHome(homeOf(home), undefined, new Date());
      const context = join(home, "host");
      mkdirSync(context);
      writeFileSync(join(context, "vmlinuz"), brokenKernel());
      writeFileSync(join(context, "initrd.img"), "no initrd");
      cpSync(join(EFI, "linuxx64.efi.stub"), join(context, "stub"));
      cpSync(join(EFI, "systemd-bootx64.efi"), join(context, "loader"));
      writeFileSync(
        join(context, "host.recipe"),
        [
          "FROM scratch",
          "DEPLOY",
          "COPY vmlinuz initrd.img /boot/",
          `COPY stub ${EFI}/linuxx64.efi.stub`,
          `COPY loader ${EFI}/systemd-bootx64.efi`,
          "BOOT /boot/vmlinuz --initrd=/boot/initrd.img --cmdline=console=ttyS0",
          'TEST ["/bin/true"]',
        ].join("\n"),
      );
      const ended = await runOstler(home, ["ci", join(context, "host.recipe")]);
      expect(ended.stderr).not.toMatch(/^error/m);
      expect(ended).toMatchObject({
        exitCode: 1,
        json: { mark: "red", suites: [{ name: "boot", passed: [], failed: ["it answers over SSH"], exitCode: 1 }] },
      });
      const [suite] = (ended.json as { suites: { output: string }[] }).suites;
      expect(suite?.output).toMatch(/the machine reset itself before it answered|--- console/);
      expect(readFileSync(join(home, "ci/host-console.log"), "latin1")).toMatch(/ostler-0001-[0-9a-f]{12}|Linux/i);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });
});

/** A kernel by its header (Linux, boot.rst): its code is no code. */
function brokenKernel(): Buffer {
  const image = Buffer.alloc(16_384);
  image.write("HdrS", 0x202, "latin1");
  image.writeUInt16LE(0x3000 - 0x200, 0x20e);
  image.write("6.1.0-broken (nobody) #1\0", 0x3000, "latin1");
  return image;
}
