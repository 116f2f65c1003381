import { open, readFile, rename, rm, stat, truncate } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { syncEach } from "../../effects/durable.ts";
import { run } from "../../effects/process.ts";
import { withTemporaryDirectory } from "../../effects/temporary.ts";
import { rootDigestOf, rootListOf } from "../../images/boot/roots.ts";
import { type Image, loadImage } from "../../images/image.ts";
import { readFromImage } from "../../images/layer/find.ts";
import { layDown } from "../../images/layer/laydown.ts";
import type { Store } from "../../images/store.ts";
import { type Boot, bootOf } from "../../manifests/boot.ts";
import { type Digest, shortDigest } from "../../manifests/digest.ts";
import { canonicalJson } from "../../manifests/document.ts";
import type { Identity } from "../../manifests/identity.ts";
import { verityOf } from "../../manifests/image.ts";
import type { Release } from "../../manifests/release.ts";
import type { Progress } from "../../terminal/progress.ts";
import { expectPrograms } from "../programs.ts";
import { convertCommand, fillEspCommand, formatDataCommand, formatEspCommand, partitionCommand } from "./commands.ts";
import { DiskError } from "./error.ts";
import { bootParts, type DiskFile, dataFiles, espFiles, LAYERS } from "./files.ts";
import { type DiskLayout, type Filesystem, planLayout } from "./layout.ts";
import { placeFile } from "./place.ts";
import { stampTree, writeFiles } from "./write-files.ts";

export interface DiskOptions {
  store: Store;
  image: Digest;
  release: Release | undefined;
  identity: Identity;
  /** The file to make; replaced where it is there. */
  output: string;
  format: "raw" | "qcow2";
  /** Bytes. */
  size: number;
  espSize: number | undefined;
  filesystem: Filesystem;
  /** Directory with PK.auth, KEK.auth and db.auth, which the firmware takes over at its first start. */
  enroll?: string | undefined;
  progress: Progress;
  signal: AbortSignal;
}

export interface DiskResult {
  output: string;
  image: Digest;
  boot: Boot;
  layout: DiskLayout;
  /** Bytes that the file takes on this machine. */
  allocated: number;
}

/** Where systemd's package puts the loader; one that the builder signed is taken first. */
const LOADER = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";
/** The pool that the host makes of the third partition at its first start (recipes/host, thin-pool). */
const THIN_POOL = "lvm:ostler/data";

const LOADER_LIMIT = 4 * 1024 * 1024;

/**
 * Makes a bootable disk of a host image: GPT, an ESP with systemd-boot and the image's UKI, and a data partition with
 * its layers laid down. Plain files and tools only: no loop device, no mount, no device-mapper. Whoever calls has
 * decided that the image may run. `output` appears whole or not at all.
 */
export async function makeDisk(options: DiskOptions): Promise<DiskResult> {
  expectRoot();
  expectPrograms(...programsOf(options));
  const { store, progress, signal } = options;
  const output = resolve(options.output);
  const image = await loadImage(store, options.image);
  const boot = expectHostImage(image);
  const layout = planLayout(needsOf(options, image, boot));
  const enrolled = await readEnrolled(options.enroll);
  const loader = await findLoader(store, image, boot);
  const step = createSteps(progress, signal);
  return await withTemporaryDirectory(dirname(output), async (work) => {
    const [disk, esp, data] = [join(work, "disk"), join(work, "esp.img"), join(work, "data.img")];
    await step("partition table", async () => {
      await makeSparse(disk, layout.size);
      await run(partitionCommand(layout, disk), { signal });
    });
    await step("ESP", () => makeEsp(store, espFiles(boot, loader, enrolled), layout, { work, file: esp, signal }));
    await step("place the ESP", () => placeFile(esp, disk, layout.esp.start, signal));
    const tree = await layDownTree(options, image, boot, join(work, "data"), step);
    await step(`data partition, ${layout.filesystem}`, async () => {
      await makeSparse(data, layout.data.size);
      await run(formatDataCommand(layout, tree, data), { signal });
    });
    await rm(tree, { recursive: true });
    await step("place the data partition", () => placeFile(data, disk, layout.data.start, signal));
    await step("finish", () => finish(disk, output, options.format, signal));
    const { blocks } = await stat(output);
    return { output, image: options.image, boot, layout, allocated: blocks * 512 };
  });
}

/** The boot document of a host image, whose root must be that of its own layers. */
function expectHostImage({ manifest, descriptor, app }: Image): Boot {
  const boot = bootOf(manifest);
  const what = `${app?.name ?? "image"} ${shortDigest(descriptor.digest)}`;
  if (boot === undefined) {
    throw new DiskError("not-a-host-image", `${what}: expected an image that boots, got one without BOOT`, {
      hint: "give the recipe a BOOT instruction that names kernel and initrd",
    });
  }
  const found = rootDigestOf(rootListOf(manifest));
  if (found === boot.root) return boot;
  throw new DiskError("not-a-host-image", `${what}: expected layers of root ${boot.root}, got root ${found}`, {
    hint: "the image is not one that ostler built: build it again",
  });
}

function needsOf({ size, espSize, filesystem, identity }: DiskOptions, { manifest, descriptor }: Image, boot: Boot) {
  return {
    size,
    espSize,
    filesystem,
    uki: boot.uki.size,
    recovery: boot.recovery?.uki.size ?? 0,
    layers: [...manifest.layers.map(verityOf), ...bootParts(boot)].reduce((sum, part) => sum + part.size, 0),
    seed: canonicalJson({ image: descriptor.digest, identity, size, espSize, filesystem }),
  };
}

/** Signed lists of the keys that firmware in setup mode takes over at its first start, by name. */
async function readEnrolled(directory: string | undefined): Promise<Record<string, Buffer>> {
  if (directory === undefined) return {};
  const names = ["PK.auth", "KEK.auth", "db.auth"];
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(directory, name))] as const)),
  );
}

async function findLoader(store: Store, { manifest, descriptor }: Image, boot: Boot): Promise<Buffer> {
  if (boot.loader !== undefined) return await store.read(boot.loader.digest, LOADER_LIMIT);
  const found = await readFromImage(store, manifest, LOADER, LOADER_LIMIT);
  if (found !== undefined) return found;
  const what = `image ${shortDigest(descriptor.digest)}`;
  throw new DiskError("loader-missing", `${what}: expected /${LOADER} in it, got no such file`, {
    hint: "install the package systemd-boot-efi in the host's recipe",
  });
}

async function makeEsp(
  store: Store,
  files: readonly DiskFile[],
  layout: DiskLayout,
  { work, file, signal }: { work: string; file: string; signal: AbortSignal },
): Promise<void> {
  const tree = join(work, "esp");
  const names = await writeFiles(tree, files, store);
  await stampTree(tree);
  await makeSparse(file, layout.esp.size);
  const env = { ...process.env, TZ: "UTC" };
  await run(formatEspCommand(layout, file), { signal, env });
  await run(fillEspCommand(file, names), { signal, env, cwd: tree });
}

type Step = <T>(text: string, use: () => Promise<T>) => Promise<T>;

async function layDownTree(
  { store, release, identity, filesystem }: DiskOptions,
  { manifest, descriptor }: Image,
  boot: Boot,
  tree: string,
  step: Step,
): Promise<string> {
  const content = {
    rootList: rootListOf(manifest),
    manifest: await store.read(descriptor.digest, descriptor.size),
    config: await store.read(manifest.config.digest, manifest.config.size),
    release,
    identity,
    data: filesystem === "lvm" ? THIN_POOL : undefined,
  };
  await writeFiles(tree, dataFiles(boot, content), store);
  const done = new Set<string>();
  for (const [index, layer] of manifest.layers.entries()) {
    const { root } = verityOf(layer);
    if (done.has(root)) continue;
    done.add(root);
    await step(`layer ${index + 1} of ${manifest.layers.length}`, async () => {
      for await (const _ of store.stream(layer.digest)) break; // checks the whole blob before it is parsed
      await layDown(store.pathOf(layer.digest), layer, join(tree, LAYERS, `${root}.erofs`));
    });
  }
  await stampTree(tree);
  return tree;
}

async function finish(disk: string, output: string, format: "raw" | "qcow2", signal: AbortSignal): Promise<void> {
  const made = format === "raw" ? disk : `${disk}.qcow2`;
  if (format === "qcow2") await run(convertCommand(disk, made), { signal });
  syncEach([made]);
  await rename(made, output);
  syncEach([dirname(output)]);
}

async function makeSparse(file: string, size: number): Promise<void> {
  await (await open(file, "wx", 0o600)).close();
  await truncate(file, size);
}

function programsOf({ format, filesystem }: DiskOptions): string[] {
  const programs = ["sgdisk", "mkfs.vfat", "mcopy", "perl"];
  programs.push(filesystem === "btrfs" ? "mkfs.btrfs" : "mkfs.ext4");
  return format === "qcow2" ? [...programs, "qemu-img"] : programs;
}

function createSteps(progress: Progress, signal: AbortSignal): Step {
  return async (text, use) => {
    signal.throwIfAborted();
    const started = performance.now();
    progress({ id: text, text, state: "started" });
    const result = await use();
    progress({ id: text, text, state: "done", took: performance.now() - started });
    return result;
  };
}

function expectRoot(uid = process.getuid?.()): void {
  if (uid === 0) return;
  throw new DiskError("needs-root", "the files of a host's data partition are root's: expected to run as root", {
    hint: "run it with sudo; it needs no mount and no loop device",
  });
}
