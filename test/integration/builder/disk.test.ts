import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { rootListOf } from "../../../images/boot/roots.ts";
import { openStore } from "../../../images/store.ts";
import { homeOf, initHome, openSigner } from "../../../keys/authority.ts";
import { appendEnvelopes } from "../../../keys/envelopes.ts";
import { bootBlobs } from "../../../manifests/boot.ts";
import { hexOf } from "../../../manifests/digest.ts";
import { identityExample } from "../../../manifests/identity.ts";
import { verityOf } from "../../../manifests/image.ts";
import { type HostImage, storeHostImage } from "../../host-image.ts";
import { describeWith } from "../../needs.ts";
import { runOstler } from "../../run-ostler.ts";
import { markOf, provenanceOf } from "../../small-image.ts";

const PROGRAMS = ["sgdisk", "mkfs.vfat", "mcopy", "mkfs.btrfs", "mkfs.ext4", "qemu-img", "fsck.erofs", "veritysetup"];
const MiB = 1024 * 1024;

describeWith({ root: true, programs: PROGRAMS }, "ostler disk", () => {
  let home: string;
  let host: HostImage;
  const at = (name: string) => join(home, name);
  const disk = (...args: string[]) => runOstler(home, ["disk", ...args, "--size", "1G"]);

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "ostler-disk-"));
    await initHome(homeOf(home), undefined, new Date());
    host = await storeHostImage(at("store"), at("tree"));
    writeFileSync(at("identity.json"), JSON.stringify(identityExample));
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  test("makes a disk whose table, ESP, data partition and layers foreign tools find whole", async () => {
    const made = await disk("host", "--unverified", "--output", at("a.img"), "--identity", at("identity.json"));
    expect(made.stderr).not.toMatch(/error/);
    expect(made).toMatchObject({ exitCode: 0, json: { verified: false, kernel: "6.1.0-test", filesystem: "btrfs" } });

    const { size, blocks } = statSync(at("a.img"));
    expect(size).toBe(1024 * MiB);
    expect(blocks * 512).toBeLessThan(64 * MiB);
    expect(tool("sgdisk", "-v", at("a.img"))).toMatch(/No problems found/);
    const table = tool("sgdisk", "-p", at("a.img"));
    expect(table).toMatch(/^ +1 +2048 +526335 .* EF00 +ESP$/m);
    expect(table).toMatch(/^ +2 +526336 .* 8300 +ostler-data$/m);

    cutOut(at("a.img"), at("esp.img"), MiB, 256 * MiB);
    expect(tool("fsck.vfat", "-n", at("esp.img"))).not.toMatch(/differ|wrong|dirty/i);
    const entry = `ostler-0001-${host.boot.root.slice(0, 12)}.efi`;
    expect(readEsp(`EFI/Linux/${entry}`)).toEqual(host.uki);
    expect(readEsp("EFI/BOOT/BOOTX64.EFI")).toEqual(host.loader);
    expect(readEsp("loader/loader.conf").toString()).toBe("timeout 0\ndefault ostler-0001-*\neditor no\n");
    expect(readEsp("startup.nsh").toString()).toBe("reset -c\r\n");
    expect(sha256(readEsp("EFI/Linux/recovery.efi"))).toBe(hexOf(host.boot.recovery?.uki.digest ?? "sha256:"));

    cutOut(at("a.img"), at("data.img"), 257 * MiB, 766 * MiB);
    tool("btrfs", "check", at("data.img"));
    mkdirSync(at("restored"));
    tool("btrfs", "restore", "--symlink", at("data.img"), at("restored"));
    await expectState(at("restored/var/lib/hostd"));
    const identity = at("restored/var/lib/hostd/host/identity");
    expect(readFileSync(join(identity, "etc/hostname"), "utf8")).toBe("node-1.example.org\n");
    const trusted = JSON.parse(readFileSync(join(identity, "etc/hostd/root.json"), "utf8"));
    expect(trusted).toMatchObject({ signed: { _type: "root" } }); // the home's, since the document names none
    expect(trusted).toEqual(JSON.parse(readFileSync(at("trust/root.json"), "utf8")));
  });

  test("an ext4 data partition holds the same", async () => {
    await disk("host", "--unverified", "--output", at("e.img"), "--filesystem", "ext4");
    expect(tool("sgdisk", "-v", at("e.img"))).toMatch(/No problems found/);
    cutOut(at("e.img"), at("e-data.img"), 257 * MiB, 766 * MiB);
    tool("e2fsck", "-fn", at("e-data.img"));
    mkdirSync(at("dumped"));
    tool("debugfs", "-R", `rdump /var ${at("dumped")}`, at("e-data.img"));
    await expectState(at("dumped/var/lib/hostd"));
    expect(tool("debugfs", "-R", "stat /var", at("e-data.img"))).toMatch(/Mode: +0755.*User: +0 +Group: +0/s);
  });

  test("for LVM there is a partition that is left blank for the thin pool", async () => {
    const made = await disk("host", "--unverified", "--output", at("l.img"), "--filesystem", "lvm");
    expect(made).toMatchObject({ exitCode: 0 });
    expect(tool("sgdisk", "-p", at("l.img"))).toMatch(/^ +3 .* 8E00 +ostler-lvm$/m);
    cutOut(at("l.img"), at("l-data.img"), 257 * MiB, 383 * MiB);
    tool("e2fsck", "-fn", at("l-data.img"));
  });

  test("two disks of the same inputs have the same bytes up to the data partition, and others where a name differs", async () => {
    await disk("host", "--unverified", "--output", at("b.img"), "--identity", at("identity.json"));
    expect(sha256(headOf(at("b.img")))).toBe(sha256(headOf(at("a.img"))));
    writeFileSync(at("other.json"), JSON.stringify({ ...identityExample, hostName: "node-2" }));
    await disk("host", "--unverified", "--output", at("b.img"), "--identity", at("other.json"));
    expect(sha256(headOf(at("b.img")))).not.toBe(sha256(headOf(at("a.img"))));
  });

  test("a qcow2 disk has the same content", async () => {
    const args = ["host", "--unverified", "--output", at("q.qcow2"), "--format", "qcow2"];
    expect(await disk(...args, "--identity", at("identity.json"))).toMatchObject({ exitCode: 0 });
    expect(tool("qemu-img", "check", at("q.qcow2"))).toMatch(/No errors/);
    tool("qemu-img", "convert", "-O", "raw", at("q.qcow2"), at("q.img"));
    expect(sha256(headOf(at("q.img")))).toBe(sha256(headOf(at("a.img"))));
  });

  test("refuses what no channel released, and leaves nothing behind", async () => {
    const refused = await disk("host", "--output", at("no.img"));
    expect(refused.exitCode).toBe(3);
    expect(refused.json).toMatchObject({ error: { code: "not-released" } });
    const unsigned = await disk(host.descriptor.digest, "--output", at("no.img"));
    expect(unsigned.json).toMatchObject({ error: { code: "not-verified" } });
    expect(unsigned.stderr).toMatch(/expected provenance by a builder key, got none/);
    expect(readdirSync(home).filter((name) => name.startsWith("no.img") || name.startsWith("tmp-"))).toEqual([]);
  });

  test("takes what the channel released, with the release for the node", async () => {
    const builder = await openSigner(homeOf(home), "builder", undefined);
    const tester = await openSigner(homeOf(home), "tester", undefined);
    const { digest } = host.descriptor;
    await appendEnvelopes(at("store"), digest, [provenanceOf(digest, builder), markOf(digest, tester)]);
    expect(await runOstler(home, ["promote", "host"])).toMatchObject({ exitCode: 0 });
    const made = await disk("host", "--output", at("r.img"), "--filesystem", "ext4");
    expect(made).toMatchObject({ exitCode: 0, json: { verified: true, release: { product: "host", sequence: 1 } } });
    cutOut(at("r.img"), at("r-data.img"), 257 * MiB, 766 * MiB);
    const release = tool("debugfs", "-R", "cat /var/lib/hostd/host/seed/release.json", at("r-data.img"));
    expect(JSON.parse(release)).toMatchObject({ product: "host", sequence: 1, image: { digest } });
  });

  test.each([
    ["an image without BOOT", { change: undefined }, "plain", "not-a-host-image"],
    ["a boot document of other layers", { change: "root" }, "other", "not-a-host-image"],
    ["parts that are not the UKI", { change: "uki" }, "parts", "uki-mismatch"],
    ["an image without a loader", { withoutLoader: true }, "bare", "loader-missing"],
  ] as const)("refuses %s", async (_what, how, name, code) => {
    const store = at("store");
    const damage = "change" in how ? how.change : "none";
    const made = await storeHostImage(store, at(name), {
      name,
      withoutLoader: "withoutLoader" in how,
      change: (boot) => {
        if (damage === "root") return { ...boot, root: "0".repeat(64) };
        return damage === "uki" ? { ...boot, uki: { ...boot.uki, digest: boot.kernelDigest } } : boot;
      },
    });
    if (damage === undefined) await retag(store, name, made);
    const refused = await disk(name, "--unverified", "--output", at("no.img"));
    expect(refused).toMatchObject({ exitCode: 1, json: { error: { code } } });
    expect(readdirSync(home)).not.toContain("no.img");
  });

  test("refuses a disk that could not hold a second version, before anything is written", async () => {
    const small = await runOstler(home, ["disk", "host", "--unverified", "--output", at("no.img"), "--size", "300M"]);
    expect(small.json).toMatchObject({ error: { code: "no-room", hint: "give it more: --size 1G" } });
    const esp = await disk("host", "--unverified", "--output", at("no.img"), "--esp-size", "lots");
    expect(esp).toMatchObject({ exitCode: 2, json: { error: { code: "bad-size" } } });
    const typo = await runOstler(home, ["disk", "host", "--unverified", "--output", at("no.img"), "--size", "big"]);
    expect(typo).toMatchObject({ exitCode: 2, json: { error: { code: "bad-size" } } });
  });

  /** The state directory of a node as the disk has it. */
  async function expectState(state: string): Promise<void> {
    const { root } = host.boot;
    expect(readFileSync(join(state, "host/good"), "utf8")).toBe(`${root}\n`);
    expect(readFileSync(join(state, "host/roots", root), "utf8")).toBe(rootListOf(host.manifest));
    expect(sha256(readFileSync(join(state, "host/roots", root)))).toBe(root);
    expect(readdirSync(join(state, "host")).sort()).toEqual(["good", "identity", "parts", "roots", "seed"]);
    const parts = bootBlobs({ ...host.boot, loader: undefined }).map(({ digest }) => hexOf(digest));
    expect(readdirSync(join(state, "host/parts")).sort()).toEqual(parts.sort());
    for (const part of parts) expect(sha256(readFileSync(join(state, "host/parts", part)))).toBe(part);
    const manifest = readFileSync(join(state, "host/seed/manifest.json"));
    expect(`sha256:${sha256(manifest)}`).toBe(host.descriptor.digest);
    expect(readdirSync(join(state, "layers"))).toHaveLength(host.manifest.layers.length);
    for (const layer of host.manifest.layers) {
      const { root, size } = verityOf(layer);
      const file = join(state, "layers", `${root}.erofs`);
      const options = ["--no-superblock", "--salt=-", `--hash-offset=${size}`, `--data-blocks=${size / 4096}`];
      tool("veritysetup", "verify", ...options, file, file, root);
      tool("fsck.erofs", file);
    }
  }

  function readEsp(path: string): Buffer {
    return execFileSync("mcopy", ["-n", "-i", at("esp.img"), `::${path}`, "-"], { maxBuffer: 64 * MiB });
  }
});

/** The same image under the same name, but for its boot document. */
async function retag(directory: string, name: string, { manifest }: HostImage): Promise<void> {
  const store = await openStore(directory);
  const { annotations: _, ...plain } = manifest;
  const written = await store.write(Buffer.from(JSON.stringify(plain)));
  await store.tag(`${name}:latest`, { mediaType: manifest.mediaType ?? "", ...written });
}

function tool(...command: string[]): string {
  const [program = "", ...args] = command;
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function cutOut(disk: string, to: string, start: number, size: number): void {
  tool("dd", `if=${disk}`, `of=${to}`, "bs=1M", `skip=${start / MiB}`, `count=${size / MiB}`, "conv=sparse");
  tool("truncate", "-s", String(size), to);
}

/** Partition table and ESP. */
function headOf(disk: string): Buffer {
  const bytes = Buffer.alloc(257 * MiB);
  const file = openSync(disk, "r");
  readSync(file, bytes, 0, bytes.length, 0);
  closeSync(file);
  return bytes;
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
