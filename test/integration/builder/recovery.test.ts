import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadImage } from "../../../images/image.ts";
import { openStore } from "../../../images/store.ts";
import { bootOf } from "../../../manifests/boot.ts";
import { describeWith } from "../../needs.ts";
import { runOstler } from "../../run-ostler.ts";
import { makeStub } from "../../unit/builder/boot/stub.ts";

describeWith({ root: true, programs: ["cpio", "bwrap"] }, "BOOT --recovery", () => {
  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "ostler-boot-recovery-"));
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  /** Builds a recipe whose DEPLOY is files of these contents and a BOOT of these words. */
  async function build(boot: string) {
    const context = join(home, "host");
    mkdirSync(context, { recursive: true });
    const kernel = Buffer.alloc(8192);
    kernel.write("HdrS", 0x202, "latin1");
    kernel.writeUInt16LE(0x1000 - 0x200, 0x20e);
    kernel.write("6.1.0-test (nobody)\0", 0x1000, "latin1");
    const files = {
      vmlinuz: kernel,
      "initrd.img": "the initrd",
      "recovery.img": "another initrd",
      stub: makeStub(),
      hostd: "#!/bin/sh\n",
    };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(context, name), content);
    const copies = ["COPY vmlinuz initrd.img recovery.img stub /boot/", "COPY hostd /usr/lib/hostd/"];
    const recipe = [
      "FROM scratch",
      "DEPLOY",
      ...copies,
      `BOOT /boot/vmlinuz --initrd=/boot/initrd.img --stub=/boot/stub ${boot}`,
    ];
    writeFileSync(join(context, "host.recipe"), recipe.join("\n"));
    return await runOstler(home, ["build", join(context, "host.recipe")]);
  }

  test("makes a second UKI of the same kernel, with the named files of the image behind its own", async () => {
    const built = await build("--recovery=/boot/recovery.img --recovery-files=/usr/lib/hostd");
    expect(built.stderr).not.toMatch(/^error/m);
    const store = await openStore(join(home, "store"));
    const boot = bootOf((await loadImage(store, "host:latest")).manifest);
    const [head, kernel, own, added] = boot?.recovery?.parts ?? [];
    if (head === undefined || own === undefined || added === undefined) throw new Error("expected four parts");
    expect(kernel).toEqual(boot?.parts[1]); // shipped once
    const text = readFileSync(store.pathOf(head.digest), "latin1");
    expect(text).toContain("ostler.recovery=1 panic=10");
    expect(text).toContain("IMAGE_ID=zz-recovery");
    expect(text).not.toContain("ostler.root=");
    expect(readFileSync(store.pathOf(own.digest), "latin1")).toMatch(/^another initrd\0+$/);
    const list = execFileSync("cpio", ["-it", "--quiet"], {
      input: readFileSync(store.pathOf(added.digest)),
    }).toString();
    expect(list).toBe("usr\nusr/lib\nusr/lib/hostd\nusr/lib/hostd/hostd\n");
  });

  test("refuses files that the image does not have", async () => {
    const built = await build("--recovery=/boot/recovery.img --recovery-files=/usr/lib/nothing");
    expect(built.exitCode).toBe(1);
    expect(built.stderr).toMatch(
      /host\.recipe:5: BOOT: expected the directory \/usr\/lib\/nothing in the image, got none/,
    );
    const lonely = await build("--recovery-files=/usr/lib/hostd");
    expect(lonely.stderr).toMatch(/--recovery/);
    expect(lonely.exitCode).not.toBe(0);
  });
});
