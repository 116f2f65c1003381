import { copyFile, mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RunEnd, startQemu } from "../../builder/ci/qemu.ts";
import { loadImage } from "../../images/image.ts";
import { openStore } from "../../images/store.ts";
import { bootOf } from "../../manifests/boot.ts";
import { describeWith } from "../needs.ts";
import { openConsole } from "./console.ts";
import { openHostHome } from "./host-home.ts";
import { PROCESSOR } from "./machine.ts";
import { type Files, makeTinyDisk, makeTinyRoot, type TinyDisk, type TinyRoot } from "./tiny-root.ts";

const HOST = "/var/lib/hostd/host";
const LAYERS = "/var/lib/hostd/layers";
const OTHER = "0".repeat(64);
const PROGRAMS = ["qemu-system-x86_64", "sgdisk", "mkfs.ext4", "mkfs.btrfs", "debugfs", "mmdebstrap"];

/** What the root that was opened finds, told on the console. */
const SCRIPT = `
echo "root: $(mount | grep ' on / ')"
echo "hostname: $(cat /etc/hostname) image: $(cat /etc/image) machine-id: $(cat /etc/machine-id)"
(echo x >/large) 2>/dev/null || echo "root: not written"
echo "before: $(cat /etc/local /var/kept 2>/dev/null)"
echo "of this node" >/etc/local; echo "kept data" >/var/kept
echo "data: $(ls /data 2>&1)"
echo "all read: $(cat /large | grep -c signed)"
`;

describeWith({ root: true, programs: PROGRAMS }, "the initrd of a host", () => {
  let work: string;
  let root: TinyRoot;
  let kernel: { image: string; initrd: string };

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), "ostler-initrd-"));
    const home = await openHostHome();
    const store = await openStore(join(home.directory, "store"));
    const [, linux, initrd] = bootOf((await loadImage(store, home.image)).manifest)?.parts ?? [];
    if (linux === undefined || initrd === undefined) throw new Error("expected three parts");
    kernel = { image: join(work, "linux"), initrd: join(work, "initrd") };
    await copyFile(store.pathOf(linux.digest), kernel.image);
    await copyFile(store.pathOf(initrd.digest), kernel.initrd);
    root = await makeTinyRoot(work, SCRIPT);
  });
  afterAll(() => rm(work, { recursive: true, force: true }));

  /** The data partition of a node whose good root this is. */
  function filesOf(change: Files = {}): Files {
    const layers = root.layers.map((layer) => [`${LAYERS}/${layer.root}.erofs`, { file: layer.file }]);
    return {
      [`${HOST}/good`]: `${root.digest}\n`,
      [`${HOST}/roots/${root.digest}`]: root.list,
      [`${HOST}/identity/etc/hostname`]: "of the node\n",
      ...Object.fromEntries(layers),
      ...change,
    };
  }

  async function start(
    disk: TinyDisk,
    commandLine = `ostler.root=${root.digest}`,
  ): Promise<{ end: RunEnd; text: string }> {
    const console = openConsole(join(work, "console"));
    const machine = startQemu(
      {
        disks: [disk.file],
        memory: 768,
        processor: PROCESSOR,
        // no_timer_check: where the machine under it is busy, an emulated timer is late, and the kernel takes it for broken
        kernel: { ...kernel, commandLine: `console=ttyS0 panic=1 oops=panic no_timer_check ${commandLine}` },
      },
      console.write,
    );
    const timer = setTimeout(machine.kill, 400_000);
    const end = await machine.ended.finally(() => clearTimeout(timer));
    return { end, text: console.text };
  }

  /** A copy of a layer with one bit of the text in it flipped. */
  async function damaged(text: string): Promise<Files> {
    const layer = root.layers.at(-1);
    if (layer === undefined) throw new Error("expected a layer");
    const file = join(work, "damaged");
    await copyFile(layer.file, file);
    const at = (await readFile(file)).indexOf(text);
    const handle = await open(file, "r+");
    await handle.write(Buffer.from([text.charCodeAt(0) ^ 1]), 0, 1, at);
    await handle.close();
    return { [`${LAYERS}/${layer.root}.erofs`]: { file } };
  }

  test.each(["ext4", "btrfs"])(
    "opens the root read-only, /etc in three layers and a lasting /var, on %s",
    async (filesystem) => {
      const disk = await makeTinyDisk(work, filesOf(), { filesystem });
      const first = await start(disk);
      expect(first.text).toMatch(/root: overlay on \/ type overlay \(ro,/);
      expect(first.text).toContain("root: not written");
      expect(first.text).toMatch(/hostname: of the node image: of the image machine-id: [0-9a-f]{32}\n/);
      expect(first.text).toContain("before: \n");
      expect(first.text).toMatch(/data: .*No such file/);
      expect(first.text).toContain("all read: 1");
      expect(first.end).toBe("off");

      const second = await start(disk);
      expect(second.text).toContain("before: of this node\nkept data\n");
      const idOf = (text: string) => /machine-id: ([0-9a-f]{32})/.exec(text)?.[1];
      expect(idOf(second.text)).toBe(idOf(first.text));
    },
  );

  const NOT_GOOD = { [`${HOST}/good`]: `${OTHER}\n` };
  test.each<[string, () => Files | Promise<Files>, RegExp]>([
    [
      "a list of other layers than the command line names",
      () => ({ [`${HOST}/roots/${root.digest}`]: root.list.replace(/\n[0-9a-f]/, "\n0") }),
      /initrd: expected a list of layers with this SHA-256, found [0-9a-f]{64}\n/,
    ],
    [
      "no list",
      () => ({ [`${HOST}/roots/${root.digest}`]: "" }),
      /initrd: expected a list of layers with this SHA-256/,
    ],
    [
      "a missing layer",
      () => ({ [`${LAYERS}/${root.layers[1]?.root}.erofs`]: { file: "/dev/null" } }),
      /initrd: opening layer [0-9a-f]{64}\n/,
    ],
    ["a layer that is not what was signed", () => damaged("/bin/sh"), /./],
  ])("resets the machine for %s, and says so in boot.log", async (_, change, said) => {
    const disk = await makeTinyDisk(work, filesOf({ ...NOT_GOOD, ...(await change()) }));
    const { end, text } = await start(disk);
    expect(end).toBe("reset");
    expect(text).toMatch(/Kernel panic - not syncing/);
    const asked = "asking the loader for recovery"; // it was started without one, so that nothing counts
    if (String(said) === "/./") {
      expect(text).toMatch(/dm-verity device corrupted/);
      return expect(text).not.toContain(asked);
    }
    expect(text).toContain(asked);
    const log = await disk.read(`${HOST}/boot.log`);
    expect(log).toMatch(said);
    expect(log.startsWith(`${root.digest} `)).toBe(true);
  });

  test("a damaged block of a root on trial resets the machine when it is read; in a proven root it is an error", async () => {
    const change = await damaged("signed signed");
    const trial = await start(await makeTinyDisk(work, filesOf({ ...NOT_GOOD, ...change })));
    expect(trial.text).toMatch(/Kernel panic - not syncing: dm-verity device corrupted/);
    expect(trial.end).toBe("reset");
    const proven = await start(await makeTinyDisk(work, filesOf(change)));
    expect(proven.text).toMatch(/read error: Input\/output error/);
    expect(proven.end).toBe("off");
  });

  test.each<[string, { label?: string; commandLine?: string }, RegExp]>([
    ["without a root on the command line", { commandLine: "quiet" }, /expected ostler.root=DIGEST/],
    [
      "without a data partition",
      { label: "other" },
      /expected a partition named ostler-data, found none in 20 seconds/,
    ],
  ])("%s it asks for recovery", async (_, { label = "ostler-data", commandLine }, said) => {
    const { end, text } = await start(await makeTinyDisk(work, filesOf(), { label }), commandLine);
    expect(text).toMatch(said);
    expect(text).toContain("asking the loader for recovery");
    expect(end).toBe("reset");
  });
});
