import { mkdir, realpath, rmdir, stat } from "node:fs/promises";
import { basename, dirname, relative } from "node:path";
import { hasErrno, unlessMissing } from "../../effects/errno.ts";
import { digestFromHex, isDigest } from "../../manifests/digest.ts";
import type { Digest, LayerVerity } from "../../manifests/image.ts";
import { missingLayer, NodeError } from "./failure.ts";
import { backingFile } from "./losetup.ts";
import { mountLayerDevice, mountLayerFile, mountOverlay, unmount } from "./mount.ts";
import { type MountEntry, mountAt, readMounts } from "./mountinfo.ts";
import type { NodeSystem } from "./node.ts";
import type { Paths } from "./paths.ts";
import { createQueue } from "./queue.ts";
import type { VerityDevices } from "./verity.ts";

/** Bytes of mount options on kernels up to 6.4: one page, less the words around `lowerdir=`. */
const OPTIONS_LIMIT = 4096 - 64;

/** The lower directory that makes two of a single layer. */
const EMPTY = "empty";

type Slots = Pick<
  NodeSystem,
  "mountSlot" | "mountHostRoot" | "unmountHostRoots" | "unmountSlot" | "mountedSlots" | "protection"
> & {
  /** Unmounts a layer; refuses `layer-in-use` while a slot is stacked on it. */
  unmountLayer(root: string): Promise<void>;
};

/**
 * Layers and slots as mounts. The kernel's mount table is the only record, so a killed daemon leaves nothing to
 * repair: each call looks what is there and does the rest. Calls run one after the other.
 */
export function openSlots(
  paths: Paths,
  checkLayer: NodeSystem["checkLayer"],
  devices: VerityDevices | undefined,
): Slots {
  const inTurn = createQueue();
  const node: LayerMounts = { paths, checkLayer, devices };
  return {
    mountSlot: ({ app, image, layers }) =>
      inTurn(() => mountStack(node, { label: image, place: paths.slot(app, image), layers })),
    mountHostRoot: (root, layers) =>
      inTurn(() => mountStack(node, { label: root, place: paths.hostRoot(root), layers })),
    unmountHostRoots: () => inTurn(() => unmountHostRoots(paths)),
    unmountSlot: (app, image) => inTurn(() => unmountSlot(node, app, image)),
    unmountLayer: (root) => inTurn(() => unmountLayer(node, root)),
    async protection() {
      const layers = layersIn(paths, await readMounts());
      const onEveryRead = devices !== undefined && layers.every(({ source }) => devices.isOwn(source));
      return onEveryRead ? "every-read" : "checked-before-mount";
    },
    async mountedSlots() {
      return slotsOf(paths, await readMounts()).map(({ mountPoint, source }) => ({
        app: basename(dirname(mountPoint)),
        image: digestFromHex(source.slice("sha256:".length)),
      }));
    },
  };
}

interface LayerMounts {
  paths: Paths;
  checkLayer: NodeSystem["checkLayer"];
  /** Absent where the kernel checks no reads: then files are checked whole before they are mounted. */
  devices: VerityDevices | undefined;
}

/** `label` stands in the mount table as the source, and tells what is mounted. */
async function mountStack(
  node: LayerMounts,
  { label, place, layers }: { label: string; place: string; layers: readonly LayerVerity[] },
): Promise<string> {
  const { paths, checkLayer, devices } = node;
  const lower = lowerOf(layers);
  const check = (layer: LayerVerity) =>
    devices === undefined ? checkLayer(layer) : requireFile(paths.layerFile(layer.root));
  await Promise.all(layers.map(check));
  if (await isMounted(node, place, label, lower)) return place;
  await mkdir(paths.emptyLayer, { recursive: true });
  const once = new Map(layers.map((layer) => [layer.root, layer]));
  for (const layer of once.values()) await mountLayer(node, layer);

  const mounted = mountAt(await readMounts(), place);
  if (mounted !== undefined && lowerIn(mounted) === lower.join(":") && mounted.source === label) return place;
  if (mounted !== undefined) await unmount(place, { lazy: true });
  await mkdir(place, { recursive: true });
  await mountOverlay(label, lower, place, paths.layerMounts);
  return place;
}

async function requireFile(file: string): Promise<void> {
  if ((await unlessMissing(stat(file))) === undefined) throw missingLayer(file);
}

/** Whether the stack stands as it should, on layers whose files are still theirs: one look at the mount table. */
async function isMounted(node: LayerMounts, place: string, label: string, lower: readonly string[]): Promise<boolean> {
  const mounts = await readMounts();
  const mounted = mountAt(mounts, place);
  if (mounted === undefined || lowerIn(mounted) !== lower.join(":") || mounted.source !== label) return false;
  const roots = lower.filter((root) => root !== EMPTY);
  const current = roots.map((root) => {
    const layer = mountAt(mounts, node.paths.layerMount(root));
    return layer !== undefined && isCurrent(node, root, layer);
  });
  return (await Promise.all(current)).every((one) => one);
}

/** Uppermost first; the empty one below makes two of a single layer. A layer twice in an image counts where it is upper. */
function lowerOf(layers: readonly LayerVerity[]): string[] {
  const roots = layers.map((layer) => layer.root).reverse();
  const lower = [...new Set(roots), EMPTY];
  const size = lower.join(":").length;
  if (size <= OPTIONS_LIMIT) return lower;
  throw new NodeError(
    "too-many-layers",
    `expected layers that fit ${OPTIONS_LIMIT} bytes of mount options, got ${size}`,
    {
      hint: "build the image with fewer layers: a section makes one",
    },
  );
}

async function mountLayer(node: LayerMounts, verity: LayerVerity): Promise<void> {
  const { paths, devices } = node;
  const { root } = verity;
  const directory = paths.layerMount(root);
  const mounts = await readMounts();
  const mounted = mountAt(mounts, directory);
  if (mounted !== undefined) {
    if (await isCurrent(node, root, mounted)) return;
    // The file under it was replaced: whoever runs on it keeps it, nobody new gets it.
    for (const slot of slotsOf(paths, mounts)) if (uses(slot, root)) await unmount(slot.mountPoint, { lazy: true });
    await unmount(directory, { lazy: true });
    await devices?.close(mounted.source);
  }
  await mkdir(directory, { recursive: true });
  const file = paths.layerFile(root);
  if (devices === undefined) return mountLayerFile(file, directory);
  const device = await devices.open(file, verity);
  try {
    await mountLayerDevice(device, directory);
  } catch (error) {
    await devices.close(device);
    throw error;
  }
}

async function isCurrent({ paths, devices }: LayerMounts, root: string, mounted: MountEntry): Promise<boolean> {
  const file = await realpath(paths.layerFile(root));
  if (devices !== undefined) return devices.isOf(mounted.source, file, root);
  return mounted.type === "erofs" && (await backingFile(mounted.source)) === file;
}

async function unmountSlot(node: LayerMounts, app: string, image: Digest): Promise<void> {
  const { paths } = node;
  const slot = paths.slot(app, image);
  const mounts = await readMounts();
  await unmountAll(slot);
  await removeEmpty(slot);
  await removeEmpty(dirname(slot));
  const rest = slotsOf(paths, await readMounts());
  for (const layer of layersIn(paths, mounts)) {
    const root = basename(layer.mountPoint);
    if (!rest.some((other) => uses(other, root))) await dropLayer(node, root);
  }
}

async function unmountHostRoots({ hostRoots }: Paths): Promise<void> {
  for (const { mountPoint } of await readMounts()) {
    if (dirname(mountPoint) !== hostRoots) continue;
    await unmount(mountPoint, { lazy: true }); // what is in place goes on from it
    await removeEmpty(mountPoint);
  }
}

async function unmountLayer(node: LayerMounts, root: string): Promise<void> {
  const { paths } = node;
  const mounts = await readMounts();
  const user = slotsOf(paths, mounts).find((slot) => uses(slot, root));
  if (user !== undefined) {
    throw new NodeError(
      "layer-in-use",
      `layer ${root}: slot ${relative(paths.slots, user.mountPoint)} is stacked on it`,
    );
  }
  await dropLayer(node, root);
}

async function dropLayer({ paths, devices }: LayerMounts, root: string): Promise<void> {
  const directory = paths.layerMount(root);
  await unmountAll(directory, devices);
  await removeEmpty(directory);
}

/** More than one mount where mount(8) went on after its hostd was killed, and the next one had mounted it as well. */
async function unmountAll(directory: string, devices?: VerityDevices): Promise<void> {
  for (;;) {
    const mounted = mountAt(await readMounts(), directory);
    if (mounted === undefined) return;
    await unmount(directory);
    await devices?.close(mounted.source);
  }
}

function layersIn(paths: Paths, mounts: readonly MountEntry[]): MountEntry[] {
  return mounts.filter((mount) => dirname(mount.mountPoint) === paths.layerMounts);
}

function slotsOf(paths: Paths, mounts: readonly MountEntry[]): MountEntry[] {
  return mounts.filter(
    (mount) => mount.type === "overlay" && dirname(dirname(mount.mountPoint)) === paths.slots && isDigest(mount.source),
  );
}

function lowerIn(mount: MountEntry): string {
  return mount.options.find((option) => option.startsWith("lowerdir="))?.slice("lowerdir=".length) ?? "";
}

function uses(slot: MountEntry, root: string): boolean {
  return lowerIn(slot).split(":").includes(root);
}

async function removeEmpty(directory: string): Promise<void> {
  try {
    await unlessMissing(rmdir(directory));
  } catch (error) {
    if (!hasErrno(error, "ENOTEMPTY", "EBUSY")) throw error;
  }
}
