import { mkdir, readdir, readFile, rm, stat, unlink } from "node:fs/promises";
import { syncDirectory, TEMPORARY_NAME, writeDurably } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import { verifyErofs } from "../../images/verity.ts";
import { Failure } from "../../manifests/failure.ts";
import { type LayerVerity, verityOf } from "../../manifests/image.ts";
import { missingLayer } from "./failure.ts";
import { layDownApart } from "./laydown.ts";
import type { NodeSystem } from "./node.ts";
import type { Paths } from "./paths.ts";

/** The file as it was when it was last verified whole; any write to it moves `changed`, and nothing can move it back. */
interface Checked {
  size: string;
  modified: string;
  changed: string;
  inode: string;
  device: string;
}

const DAMAGED: ReadonlySet<string> = new Set(["image-damaged", "layer-missing"]);

type LayerFiles = Pick<NodeSystem, "layDownLayer" | "hasLayer" | "checkLayer" | "scrubLayer" | "layers"> & {
  /** Deletes the file where it is unused in that moment; the caller has unmounted it. */
  deleteLayer(root: string, isUnused: () => boolean): Promise<boolean>;
};

/** The layer files of a node: laid down once, verified whole whenever they may have changed. */
export async function openLayers(paths: Paths): Promise<LayerFiles> {
  await mkdir(paths.layerFiles, { recursive: true });
  await removeHalfMade(paths.layerFiles);

  async function verify(
    verity: LayerVerity,
    isKnown: (record: string, now: Checked) => boolean,
    pace?: (bytes: number) => Promise<void>,
  ): Promise<void> {
    const file = paths.layerFile(verity.root);
    const before = await look(file);
    if (before === undefined) throw missingLayer(file);
    const record = await unlessMissing(readFile(paths.layerChecked(verity.root), "utf8"));
    if (record !== undefined && isKnown(record, before)) return;
    try {
      await verifyErofs(file, verity, pace);
    } catch (error) {
      if (isDamage(error)) await rm(paths.layerChecked(verity.root), { force: true });
      throw error;
    }
    await remember(verity.root, before);
    if ((await look(file)) === undefined) await rm(paths.layerChecked(verity.root), { force: true }); // collected meanwhile
  }

  /** A damaged file counts as none: staging lays it down anew, and whoever runs on the old one keeps that. */
  async function hasLayer(verity: LayerVerity): Promise<boolean> {
    try {
      await checkLayer(verity);
      return true;
    } catch (error) {
      if (isDamage(error)) return false;
      throw error;
    }
  }

  const checkLayer = (verity: LayerVerity) => verify(verity, sameFile);
  const remember = (root: string, found: Checked) => writeDurably(paths.layerChecked(root), JSON.stringify(found));

  return {
    checkLayer,
    scrubLayer: (verity, pace) => verify(verity, () => false, pace),
    async layDownLayer({ blob, layer, signal, replace = false, onBytes }) {
      const verity = verityOf(layer);
      const file = paths.layerFile(verity.root);
      if (!replace && (await hasLayer(verity))) return;
      try {
        await layDownApart({ blob, layer, destination: file }, { signal, onBytes }); // hashes what it writes: the first whole verification
      } catch (error) {
        await removeHalfMade(paths.layerFiles, `.${verity.root}.`); // a process that was killed could not
        throw error;
      }
      const made = await look(file);
      if (made !== undefined) await remember(verity.root, made);
    },
    hasLayer,
    async layers() {
      const names = await readdir(paths.layerFiles);
      return names.filter((name) => /^[0-9a-f]{64}\.erofs$/.test(name)).map((name) => name.slice(0, 64));
    },
    async deleteLayer(root, isUnused) {
      await rm(paths.layerChecked(root), { force: true }); // a file without it is verified again; it would outlive its file
      if (!isUnused()) return false;
      await unlessMissing(unlink(paths.layerFile(root)));
      await syncDirectory(paths.layerFiles);
      return true;
    },
  };
}

function isDamage(error: unknown): boolean {
  return error instanceof Failure && DAMAGED.has(error.code);
}

async function look(file: string): Promise<Checked | undefined> {
  const found = await unlessMissing(stat(file, { bigint: true }));
  if (found === undefined) return undefined;
  return {
    size: String(found.size),
    modified: String(found.mtimeNs),
    changed: String(found.ctimeNs),
    inode: String(found.ino),
    device: String(found.dev),
  };
}

/** A record that cannot be read counts as none: the file is verified again. */
function sameFile(known: string, now: Checked): boolean {
  return known === JSON.stringify(now);
}

async function removeHalfMade(directory: string, prefix = "."): Promise<void> {
  for (const name of await readdir(directory)) {
    if (TEMPORARY_NAME.test(name) && name.startsWith(prefix)) await rm(`${directory}/${name}`, { force: true });
  }
}
