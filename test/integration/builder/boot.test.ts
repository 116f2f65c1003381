import { execFileSync } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BuildResult } from "../../../builder/build.ts";
import { rootDigestOf, rootListOf } from "../../../images/boot/roots.ts";
import { loadImage } from "../../../images/image.ts";
import { openStore } from "../../../images/store.ts";
import { bootOf } from "../../../manifests/boot.ts";
import { describeWith } from "../../needs.ts";
import { openShared, openWorkshop, type Shared, type Workshop } from "./workshop.ts";

const STUB = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
const LOADER = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const RECIPE = `FROM MINI
BOOTSTRAP
COPY --chmod=644 stub ${STUB}
COPY --chmod=644 loader ${LOADER}
COPY kernel /boot/vmlinuz-6.1.0-test
RUN ln -s vmlinuz-6.1.0-test /boot/vmlinuz && ln /boot/vmlinuz-6.1.0-test /opt/same && echo initrd >/boot/initrd.img
DEPLOY
COPY hostd /usr/lib/hostd/
BOOT /boot/vmlinuz --initrd=/boot/initrd.img --cmdline="console=ttyS0"
`;

describeWith({ root: true, programs: ["objcopy", "sbsign", "sbverify", "openssl"] }, "BOOT", () => {
  let shared: Shared;
  let shop: Workshop;
  let first: BuildResult;

  beforeAll(async () => {
    shared = await openShared();
    shop = openWorkshop(shared, "boot");
    copyFileSync(STUB, join(shop.directory, "stub"));
    copyFileSync(LOADER, join(shop.directory, "loader"));
    writeFileSync(join(shop.directory, "kernel"), makeKernel());
    shop.write("hostd", "one");
    first = await shop.build(RECIPE);
  });
  afterAll(() => shared.remove());

  async function ukiOf(built: BuildResult): Promise<Buffer> {
    const store = await openStore(join(shop.home, "store"));
    const parts = built.boot?.parts ?? [];
    return Buffer.concat(await Promise.all(parts.map(({ digest }) => store.read(digest, 1 << 30))));
  }

  function sectionOf(uki: Buffer, name: string): Buffer {
    const [file, section] = [join(shared.directory, "uki.efi"), join(shared.directory, "section")];
    writeFileSync(file, uki);
    execFileSync("objcopy", ["-O", "binary", `--dump-section=${name}=${section}`, file, "/dev/null"]);
    return execFileSync("cat", [section]);
  }

  test("the manifest says how the image is booted: its own layers' root, kernel and parts", async () => {
    const { manifest, app } = await loadImage(await openStore(join(shop.home, "store")), first.reference);
    const root = rootDigestOf(rootListOf(manifest));
    expect(bootOf(manifest)).toEqual(first.boot);
    expect(first.boot).toMatchObject({ root, kernel: "6.1.0-test", cmdline: "console=ttyS0" });
    expect(first.boot?.parts).toHaveLength(3);
    expect(app?.name).toBe("thing");
  });

  test("other tools find kernel, initrd and a command line that names the root in the UKI", async () => {
    const uki = await ukiOf(first);
    expect(sectionOf(uki, ".linux").equals(makeKernel())).toBe(true);
    expect(String(sectionOf(uki, ".initrd"))).toBe("initrd\n");
    const commandLine = `ostler.root=${first.boot?.root} panic=1 oops=panic console=ttyS0`;
    expect(String(sectionOf(uki, ".cmdline"))).toBe(commandLine);
    expect(String(sectionOf(uki, ".osrel"))).toContain("IMAGE_ID=ostler\n");
  });

  test("what BOOT names is in no layer, links to it neither; another name of the same file is a file", () => {
    const paths = shop.listLayers(first).flat();
    expect(paths.filter((line) => / boot\/.|linuxx64\.efi\.stub/.test(line))).toEqual([]);
    expect(paths.find((line) => line.endsWith(" opt/same"))).toMatch(/^-/);
  });

  test("a second build gives the same image; a new hostd changes the head alone", async () => {
    const again = await shop.build(RECIPE, { noCache: true });
    expect(again.descriptor.digest).toBe(first.descriptor.digest);
    shop.write("hostd", "two");
    const next = await shop.build(RECIPE);
    const [before, after] = [first, next].map(({ boot }) => boot?.parts.map(({ digest }) => digest) ?? []);
    expect(after?.[0]).not.toBe(before?.[0]);
    expect(after?.slice(1)).toEqual(before?.slice(1));
    shop.write("hostd", "one");
  });

  describe("with a key for Secure Boot", () => {
    test("the whole is signed as the firmware checks it, kernel and initrd stay the same parts", async () => {
      const [key, certificate] = [join(shared.directory, "db.key"), join(shared.directory, "db.crt")];
      const request = ["req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=db/", "-days", "2"];
      execFileSync("openssl", [...request, "-keyout", key, "-out", certificate], { stdio: "ignore" });
      const signed = await shop.build(RECIPE, { ukiSigner: { key, certificate } });
      const digests = (built: BuildResult) => built.boot?.parts.map(({ digest }) => digest) ?? [];
      expect(signed.boot?.parts).toHaveLength(4);
      expect(digests(signed).slice(1, 3)).toEqual(digests(first).slice(1));
      const file = join(shared.directory, "signed.efi");
      writeFileSync(file, await ukiOf(signed));
      expect(String(execFileSync("sbverify", ["--cert", certificate, file]))).toContain("Signature verification OK");
      const loader = (await openStore(join(shop.home, "store"))).pathOf(signed.boot?.loader?.digest ?? "sha256:");
      expect(String(execFileSync("sbverify", ["--cert", certificate, loader]))).toContain("Signature verification OK");
      const changed = await ukiOf(signed);
      changed[changed.length - 4096] = (changed.at(-4096) ?? 0) ^ 1;
      writeFileSync(file, changed);
      expect(() => execFileSync("sbverify", ["--cert", certificate, file], { stdio: "pipe" })).toThrow();
    });
  });

  test.each([
    ["/boot/none", "expected the file /boot/none in the image, got none"],
    ["/boot/initrd.img", "expected a Linux kernel (bzImage), got other bytes"],
  ])("refuses %s as a kernel, and says where", async (path, message) => {
    const recipe = RECIPE.replace("BOOT /boot/vmlinuz ", `BOOT ${path} `);
    await expect(shop.build(recipe)).rejects.toThrow(message);
  });
});

/** What the builder looks at of a kernel: its magic, and where it names its release. */
function makeKernel(): Buffer {
  const kernel = Buffer.alloc(20_000, "k");
  kernel.write("HdrS", 0x202, "latin1");
  kernel.writeUInt16LE(0x1000 - 0x200, 0x20e);
  kernel.write("6.1.0-test (builder) #1\0", 0x1000, "latin1");
  return kernel;
}
