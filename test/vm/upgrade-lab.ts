import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type CpioEntry, writeCpio } from "../../builder/boot/cpio.ts";
import { composeUki } from "../../builder/boot/uki.ts";
import { run } from "../../effects/process.ts";
import { rootDigestOf, rootListOf } from "../../images/boot/roots.ts";
import { type Image, loadImage } from "../../images/image.ts";
import { packLayer } from "../../images/layer/pack.ts";
import { walkDirectory } from "../../images/layer/walk.ts";
import { openStore, type Store } from "../../images/store.ts";
import { appendEnvelopes } from "../../keys/envelopes.ts";
import { publishRelease } from "../../keys/tuf/repository.ts";
import { BOOT_ANNOTATION, type Boot, type BootBlob, bootOf } from "../../manifests/boot.ts";
import { type Digest, digestFromHex, hexOf } from "../../manifests/digest.ts";
import { canonicalJson } from "../../manifests/document.ts";
import { type ImageManifest, MEDIA_TYPES, verityOf } from "../../manifests/image.ts";
import { type OperationDocument, parseStatus, type StatusDocument } from "../../manifests/node.ts";
import { allSigners, signerOf } from "../foundation.ts";
import { openPublisher, type VersionOptions } from "../hostd/publisher.ts";
import { runOstler } from "../run-ostler.ts";
import { markOf, provenanceOf } from "../small-image.ts";
import { type HostHome, openHostHome } from "./host-home.ts";
import { copyDisk, type Machine, type MachineOptions, withMachine } from "./machine.ts";
import { serveDisk } from "./volatile-disk.ts";

// One built host image and one disk that was booted once, from which every test has a copy; further versions are made of
// the same layers, with a layer or an initrd changed, in a second and without a builder.

/** Milliseconds for a start on a busy machine, for a whole upgrade with two of them, and between two looks, of which each is a Node. */
const START = 800_000;
const UPGRADE = 1_800_000;
const LOOK = 12_000;

const MARKER = "usr/share/ostler-version";
const REPOSITORY = "/var/lib/repository";

/** /init of an initrd that loads what keeps a panic's last words, as its own does, and then is no good. */
export const BROKEN_INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mkdir -p /proc /sys
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in /modules/*; do insmod "$module" pstore_disable=0 2>/dev/null || insmod "$module" 2>/dev/null; done
`;
const STUB = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

export interface Change {
  version: string;
  /** Files that a further layer puts on top: path -> text; executable where it begins with `#!`. */
  files?: Readonly<Record<string, string>>;
  /** /init of the initrd instead of its own. */
  init?: string;
  cmdline?: string;
  /** Where it says which one it is; default /usr/share/ostler-version. */
  marker?: string;
}

/** A version of any product: what a node needs of it. */
interface Pushed {
  /** Files of the repository that a node needs for it. */
  blobs: string[];
}

export interface Version extends Pushed {
  version: string;
  image: Digest;
  root: string;
  /** Of its entry on the ESP. */
  uki: Digest;
}

/** The image of recipes/host as it is built. */
interface BuiltHost {
  home: HostHome;
  store: Store;
  image: Image;
  boot: Boot;
}

export interface UpgradeLab {
  host: BuiltHost;
  /** What the disk of every node was laid down with. */
  first: Version;
  publish(change: Change): Promise<Version>;
  /** Releases a version of the app under test (test/hostd/app.ts). */
  publishApp(options: Omit<VersionOptions, "sequence">): Promise<Pushed>;
  /** A machine on a copy of the disk, booted, with hostd answering. */
  withNode(name: string, use: (node: Node) => Promise<void>, options?: NodeOptions): Promise<void>;
  close(): Promise<void>;
}

export interface LabOptions {
  /** What is done on the one machine before every node gets a copy of its disk. */
  prepare?(node: Node, lab: UpgradeLab): Promise<void>;
}

export interface NodeOptions extends Pick<MachineOptions, "forward"> {
  /** Its disk has a write cache, and this decides what a power cut takes of it. */
  random?: () => number;
}

/** One host under test. */
export interface Node {
  machine: Machine;
  /** Its disk image. */
  disk: string;
  hostd(words: string): Promise<unknown>;
  status(): Promise<StatusDocument>;
  /** Puts what a version needs into the repository on the node, on its disk when it returns. */
  push(version: Pushed): Promise<void>;
  stage(version: Version): Promise<OperationDocument>;
  /** Begins an upgrade; answers its number. */
  begin(words: string): Promise<number>;
  /** Follows an operation through every reboot. */
  ended(id: number, limit?: number): Promise<OperationDocument>;
}

export async function openLab(options: LabOptions = {}): Promise<UpgradeLab> {
  const work = await mkdtemp(join(tmpdir(), "ostler-upgrade-"));
  const host = await builtHost();
  const publisher = await openPublisher(work);
  const repository = publisher.directory;
  const store = await openStore(join(repository, "oci"));
  const base = join(work, "base.img");
  const key = join(work, "key");
  let sequence = 0;

  async function makeBase(): Promise<void> {
    await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
    const identity = {
      schema: 1,
      hostName: "node-1",
      authorizedKeys: { root: [(await readFile(`${key}.pub`, "utf8")).trim()] },
      repository: { address: REPOSITORY, channel: "production" },
      root: JSON.parse(await readFile(publisher.rootFile, "utf8")),
    };
    await writeFile(join(work, "identity.json"), JSON.stringify(identity));
    const made = await runOstler(host.home.directory, [
      ...["disk", host.image.descriptor.digest, "--unverified", "--size", "4G"],
      ...["--identity", join(work, "identity.json"), "--output", base],
    ]);
    if (made.exitCode !== 0) throw new Error(`expected a disk, got\n${made.stderr}`);
    await withMachine({ name: "upgrade-base", disk: base, sshKey: key }, async (machine) => {
      await machine.waitForSsh("hostd status --json && systemctl is-system-running --wait || true", START);
      await options.prepare?.(nodeOf(machine, { repository, disk: base }), lab);
      await machine.shutdown();
    });
  }

  const { boot, image } = host;
  const lab: UpgradeLab = {
    host,
    first: { version: "first", image: image.descriptor.digest, root: boot.root, uki: boot.uki.digest, blobs: [] },
    async publish(change) {
      sequence += 1;
      const version = await composeVersion(host, store, work, change);
      const { image } = version;
      await appendEnvelopes(repository, image, [
        provenanceOf(image, signerOf("builder")),
        markOf(image, signerOf("tester")),
      ]);
      await publishRelease(
        { directory: repository, signers: allSigners, now: new Date() },
        {
          schema: 1,
          product: "host",
          channel: "production",
          sequence,
          version: change.version,
          image: { digest: image, size: (await readFile(store.pathOf(image))).length },
          config: {},
          created: new Date().toISOString(),
        },
      );
      return version;
    },
    async publishApp(app) {
      sequence += 1;
      const { image, layers } = await publisher.publish({ ...app, sequence });
      const { manifest } = await loadImage(store, image);
      return { blobs: [image, manifest.config.digest, ...layers.map(({ digest }) => digest)].map(hexOf) };
    },
    async withNode(name, use, { random, forward } = {}) {
      const disk = join(work, `${name}.img`);
      await copyDisk(base, disk);
      await copyDisk(`${base}.vars`, `${disk}.vars`);
      const volatile = random === undefined ? undefined : await serveDisk(disk, `${disk}.socket`, random);
      const machine = { name: `upgrade-${name}`, disk, sshKey: key, ...(forward && { forward }) };
      try {
        await withMachine({ ...machine, ...(volatile && { volatile }) }, async (machine) => {
          await machine.waitForSsh("hostd status --json", START);
          await use(nodeOf(machine, { repository, disk }));
        });
      } finally {
        volatile?.close();
        await rm(disk, { force: true });
      }
    },
    close: () => rm(work, { recursive: true, force: true }),
  };
  await makeBase();
  return lab;
}

async function builtHost(): Promise<BuiltHost> {
  const home = await openHostHome();
  const store = await openStore(join(home.directory, "store"));
  const image = await loadImage(store, home.image);
  const boot = bootOf(image.manifest);
  if (boot === undefined) throw new Error("expected recipes/host to make a host image");
  return { home, store, image, boot };
}

function nodeOf(machine: Machine, { repository, disk }: { repository: string; disk: string }): Node {
  const pushed = new Set<string>();
  const json = async (command: string) => JSON.parse((await machine.ssh(command, { timeout: 300_000 })).stdout);
  const node: Node = {
    machine,
    disk,
    hostd: (words) => json(`hostd ${words} --json`),
    status: async () => parseStatus(await json("hostd status --json")),
    async push({ blobs }) {
      const missing = blobs.filter((blob) => !pushed.has(blob));
      const all = ["metadata", "targets", "statements", ...missing.map((blob) => `oci/blobs/sha256/${blob}`)];
      const { stdout } = await run(["sh", "-c", 'tar -C "$0" -c "$@" | base64 -w0', repository, ...all]);
      await machine.ssh(`mkdir -p ${REPOSITORY} && base64 -d | tar -x -C ${REPOSITORY} && sync -f ${REPOSITORY}`, {
        input: stdout,
        timeout: 300_000,
      });
      for (const blob of missing) pushed.add(blob);
    },
    async stage(version) {
      await node.push(version);
      return await node.ended(await node.begin("stage host"));
    },
    begin: async (words) => ((await node.hostd(`${words} --no-wait`)) as OperationDocument).id,
    async ended(id, limit = UPGRADE) {
      for (const until = Date.now() + limit; ; await delay(LOOK)) {
        try {
          const { stdout } = await machine.ssh(`hostd changes ${id} --json`, { timeout: 120_000 });
          const operation = toOperation(JSON.parse(stdout), id);
          if (operation?.finished !== undefined) return operation;
        } catch {
          // it reboots, or is on its way
        }
        if (Date.now() > until) throw new Error(`operation ${id} did not end within ${limit} ms`);
      }
    },
  };
  return node;
}

function toOperation(answer: unknown, id: number): OperationDocument | undefined {
  const one = answer as OperationDocument & { changes?: OperationDocument[] };
  return one.changes === undefined ? one : one.changes.find((operation) => operation.id === id);
}

/** The layers, kernel and initrd of the built image, and what is to be different. */
async function composeVersion(host: BuiltHost, store: Store, work: string, change: Change): Promise<Version> {
  const { image, boot } = host;
  const blobs: string[] = [];
  const write = async (bytes: Buffer): Promise<BootBlob> => {
    const digest = digestFromHex(createHash("sha256").update(bytes).digest("hex"));
    if (!(await store.has(digest))) await store.write(bytes);
    blobs.push(hexOf(digest));
    return { digest, size: bytes.length };
  };
  const tree = join(work, "trees", change.version);
  for (const [path, text] of Object.entries({ [change.marker ?? MARKER]: change.version, ...change.files })) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), text, { mode: text.startsWith("#!") ? 0o755 : 0o644 });
  }
  const added = await packLayer(store, await walkDirectory(tree), { section: "deploy" });
  blobs.push(hexOf(added.descriptor.digest));
  const layers = [...image.manifest.layers, added.descriptor];
  const config = await write(
    Buffer.from(
      canonicalJson({
        ...image.config,
        rootfs: { type: "layers", diff_ids: [...image.config.rootfs.diff_ids, added.diffId] },
      }),
    ),
  );
  const plain: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config: { mediaType: MEDIA_TYPES.config, ...config },
    layers,
  };
  const root = rootDigestOf(rootListOf(plain));
  const [, linux, own] = await Promise.all(boot.parts.map(({ digest }) => readFile(host.store.pathOf(digest))));
  if (linux === undefined || own === undefined) throw new Error("expected kernel and initrd among the parts");
  const initrd = change.init === undefined ? own : Buffer.concat([own, withInit(change.init)]);
  const cmdline = change.cmdline ?? boot.cmdline;
  const pieces = composeUki({
    stub: await readFile(STUB),
    osRelease: "ID=debian\nIMAGE_ID=ostler\n",
    commandLine: `ostler.root=${root} panic=1 oops=panic ${cmdline}`,
    linux,
    initrd,
  });
  // the initrd's own bytes are a part that nodes have, whatever is put behind it
  const initrds = [pieces.initrd.subarray(0, own.length), pieces.initrd.subarray(own.length)];
  const bytes = [pieces.head, pieces.linux, ...initrds.filter(({ length }) => length > 0)];
  const parts: BootBlob[] = [];
  for (const part of bytes) parts.push(await write(part));
  const whole = Buffer.concat([pieces.head, pieces.linux, pieces.initrd]);
  const document: Boot = {
    schema: 1,
    root,
    uki: { digest: digestFromHex(createHash("sha256").update(whole).digest("hex")), size: whole.length },
    parts,
    kernel: boot.kernel,
    kernelDigest: boot.kernelDigest,
    initrdDigest:
      change.init === undefined ? boot.initrdDigest : digestFromHex(createHash("sha256").update(initrd).digest("hex")),
    cmdline,
  };
  const manifest = { ...plain, annotations: { [BOOT_ANNOTATION]: canonicalJson(document) } };
  const { digest } = await write(Buffer.from(canonicalJson(manifest)));
  for (const layer of layers) verityOf(layer);
  return { version: change.version, image: digest, root, uki: document.uki.digest, blobs: [...new Set(blobs)] };
}

/** A further archive behind the initrd's own: what comes later wins. */
function withInit(text: string): Buffer {
  const entries: CpioEntry[] = [{ path: "init", mode: 0o100755, bytes: Buffer.from(text) }];
  return writeCpio(entries);
}
