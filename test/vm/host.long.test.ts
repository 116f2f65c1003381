import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { composeUki } from "../../builder/boot/uki.ts";
import { ESP, entryName } from "../../images/boot/entries.ts";
import { rootDigestOf, rootListOf } from "../../images/boot/roots.ts";
import { type Image, loadImage } from "../../images/image.ts";
import { layDown } from "../../images/layer/laydown.ts";
import { openStore, type Store } from "../../images/store.ts";
import { type Boot, bootOf } from "../../manifests/boot.ts";
import { verityOf } from "../../manifests/image.ts";
import { describeWith } from "../needs.ts";
import { HOST_PROGRAMS, openHostHome } from "./host-home.ts";
import { bootMachine, type Machine } from "./machine.ts";
import { type Cable, openCable, SCANNED, SCANNER } from "./port-scan.ts";
import { makeTinyRoot } from "./tiny-root.ts";

const STATE = "/var/lib/hostd";
const STUB = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
/** Milliseconds for a start on a busy machine, from firmware to hostd. */
const START = 400_000;

describeWith({ root: true, programs: HOST_PROGRAMS }, "a host image on a disk", () => {
  let work: string;
  let host: { store: Store; image: Image; boot: Boot };
  let machine: Machine;
  let cable: Cable;

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), "ostler-host-"));
    const home = await openHostHome();
    const store = await openStore(join(home.directory, "store"));
    const image = await loadImage(store, home.image);
    const boot = bootOf(image.manifest);
    if (boot === undefined) throw new Error("expected a host image");
    host = { store, image, boot };
    cable = await openCable();
    const disk = join(work, "disk");
    await home.makeDisk(disk, "node-1");
    machine = await bootMachine({ name: "host", disk, sshKey: home.sshKey, extra: cable.arguments });
  });
  afterAll(async () => {
    await machine?.powerCut();
    cable?.close();
    await rm(work, { recursive: true, force: true });
  });

  const answer = async (command: string) => (await machine.ssh(command)).stdout.trimEnd();
  const fails = (command: string) => answer(`if { ${command}; } 2>&1; then echo succeeded; fi`);
  const hostdAnswers = () => machine.waitForSsh("hostd status --json", START);

  test("comes from an empty machine to hostd answering over SSH, with no unit failed", async () => {
    await machine.console.waitFor(`booting root ${host.boot.root}`, START);
    const status = await hostdAnswers();
    expect(JSON.parse(status.stdout)).toMatchObject({ schema: 1, verity: "every-read" });
    expect(await answer("systemctl --failed --plain --no-legend")).toBe("");
    expect(await answer("hostname; uname -r")).toBe(`node-1\n${host.boot.kernel}`);
  });

  test("has a read-only root, /etc in three layers, no package manager and no password to guess", async () => {
    expect(await fails("touch /usr/x /x")).toMatch(/Read-only file system/);
    expect(await answer("findmnt -no FSTYPE,OPTIONS /")).toMatch(/^overlay +ro,/);
    expect(await answer("findmnt -no OPTIONS /etc")).toMatch(/lowerdir=\S+\/declared:\S+\/etc,upperdir=\S+\/upper/);
    expect(await answer("ls /var/lib/hostd/host/identity/etc")).toMatch(/hostname/);
    expect(await fails("command -v apt apt-get")).toBe("");
    expect(await answer("sshd -T | grep -iE '^(password|kbdinteractive)authentication' | sort")).toBe(
      "kbdinteractiveauthentication no\npasswordauthentication no",
    );
    await answer("echo kept >/var/kept; echo local >/etc/local");
  });

  test("listens on 22 and on nothing else, as it is seen from outside", async () => {
    const setUp = [
      `card=$(ip -o link | sed -n 's/^[0-9]*: \\([^:]*\\): .*${SCANNED.mac}.*/\\1/p')`,
      `ip address add ${SCANNED.ip}/24 dev $card`,
      "ip link set $card up",
      `ip neighbour replace ${SCANNER.ip} lladdr ${SCANNER.mac} dev $card`,
    ];
    await answer(`set -e; ${setUp.join("; ")}`);
    expect(await cable.openPorts(300_000)).toEqual([22]);
    expect(await answer("ss -lunH | grep -vE '127\\.0\\.0\\.[0-9]+|%[^ ]*:(68|546) '; true")).toBe("");
  });

  test("keeps its name, its keys, /var and what was changed in /etc across a restart", async () => {
    const facts =
      "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub 2>/dev/null; cat /var/kept /etc/local; hostname";
    const before = await answer(facts);
    const boot = await answer("cat /proc/sys/kernel/random/boot_id");
    await restart();
    expect(await answer(facts)).toBe(before);
    expect(before).toMatch(/kept\nlocal\nnode-1$/);
    expect(await answer("cat /proc/sys/kernel/random/boot_id")).not.toBe(boot);
    expect(await answer("journalctl --list-boots -q | wc -l")).toBe("2");
  });

  test("a flipped bit in a layer is an error of that read, and the system stays up", async () => {
    const start = Buffer.from(await answer("head -c 4096 /usr/bin/qemu-img | base64 -w0"), "base64");
    const { file, at } = await placeOf(start, 100);
    const write = (byte: number) =>
      answer(
        `printf '\\${byte.toString(8)}' | dd of=${file} bs=1 seek=${at} conv=notrunc status=none; sync; echo 3 >/proc/sys/vm/drop_caches`,
      );
    const byte = start[100] ?? 0;
    await write(byte ^ 1);
    expect(await fails("cat /usr/bin/qemu-img >/dev/null")).toMatch(/Input\/output error/);
    await write(byte);
    expect(await answer("qemu-img --version | head -n 1")).toMatch(/^qemu-img version/);
  });

  test("a version on trial whose layer is damaged is taken back by itself, and its last words are kept", async () => {
    const tiny = await makeTinyRoot(join(work, "tiny"), "");
    const third = tiny.layers[1];
    if (third === undefined) throw new Error("expected a layer");
    const handle = await open(third.file, "r+");
    await handle.write(Buffer.from([0xff]), 0, 1, 1030); // in the superblock: read by the mount
    await handle.close();
    const list = `${rootListOf(host.image.manifest)}${third.root} ${third.size}\n`;
    const root = rootDigestOf(list);
    const entry = entryName({ number: 2, root, tries: { left: 3, done: 0 } });
    await put(Buffer.from(list), `${STATE}/host/roots/${root}`);
    await put(await readFile(third.file), `${STATE}/layers/${third.root}.erofs`);
    await put(await ukiOf(root), `/efi/${ESP.entries}/${entry}`);
    await answer(`bootctl set-oneshot ${entry}`);
    await restart();
    expect(await answer("cat /proc/cmdline")).toContain(host.boot.root);
    expect(machine.console.text).toContain(`booting root ${root}`);
    expect(await answer(`ls /efi/${ESP.entries}`)).not.toContain("-0002-"); // no version that hostd knows has it
    expect(
      await answer(
        "cat /var/lib/systemd/pstore/*/*/dmesg.txt /var/lib/systemd/pstore/*/dmesg* /sys/fs/pstore/dmesg* 2>/dev/null; true",
      ),
    ).toContain("dm-verity device corrupted");
  });

  /** The layer file on the machine that holds these bytes, and where a byte of them is in it. */
  async function placeOf(bytes: Buffer, offset: number): Promise<{ file: string; at: number }> {
    const { manifest } = host.image;
    for (const [index, layer] of manifest.layers.entries()) {
      const laid = join(work, `laid-${index}`);
      await layDown(host.store.pathOf(layer.digest), layer, laid);
      const found = (await readFile(laid)).indexOf(bytes);
      if (found >= 0) return { file: `${STATE}/layers/${verityOf(layer).root}.erofs`, at: found + offset };
    }
    throw new Error("expected a layer with these bytes");
  }

  async function restart(): Promise<void> {
    const before = machine.resets;
    await answer("systemctl reboot");
    await machine.console.waitFor(/reboot: Restarting system/, 120_000);
    await hostdAnswers();
    expect(machine.resets).toBeGreaterThan(before);
  }

  const put = (bytes: Buffer, path: string) =>
    machine.ssh(`cat >${path} && sync ${path}`, { input: bytes, timeout: 120_000 });

  async function ukiOf(root: string): Promise<Buffer> {
    const blobs = await Promise.all(host.boot.parts.map(({ digest }) => host.store.read(digest, 1 << 30)));
    const parts = composeUki({
      stub: await readFile(STUB),
      osRelease: "IMAGE_ID=ostler\nID=debian\n",
      commandLine: `ostler.root=${root} panic=1 oops=panic ${host.boot.cmdline}`,
      linux: blobs[1] ?? Buffer.alloc(0),
      initrd: blobs[2] ?? Buffer.alloc(0),
    });
    return Buffer.concat([parts.head, parts.linux, parts.initrd]);
  }
});
