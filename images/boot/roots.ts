import { createHash } from "node:crypto";
import { type ImageManifest, verityOf } from "../../manifests/image.ts";

const FIRST_LINE = "ostler-roots 1";

/** A layer of a bootable root: what device-mapper is told to expect of the file. */
export interface RootLayer {
  /** dm-verity root hash, hex; the file's name on the node. */
  root: string;
  /** Bytes of the EROFS image; its hash tree begins there. */
  size: number;
}

/** The root list of a host image, base first. The initrd opens exactly this, once its digest is the command line's. */
export function rootListOf(manifest: Pick<ImageManifest, "layers">): string {
  const layers = manifest.layers.map(verityOf).map(({ root, size }) => `${root} ${size}\n`);
  return `${FIRST_LINE}\n${layers.join("")}`;
}

/** The root digest: the name of a bootable root everywhere (SHA-256 of the list, hex). */
export function rootDigestOf(list: string): string {
  return createHash("sha256").update(list).digest("hex");
}

/** The layers of a root list; undefined where the text is not one. */
export function parseRootList(list: string): RootLayer[] | undefined {
  const [first, ...lines] = list.split("\n");
  if (first !== FIRST_LINE || lines.pop() !== "" || lines.length === 0) return undefined;
  const layers = lines.flatMap((line) => {
    const [, root, size] = /^([0-9a-f]{64}) ([1-9]\d{0,14})$/.exec(line) ?? [];
    return root === undefined ? [] : [{ root, size: Number(size) }];
  });
  return layers.length === lines.length && layers.every(({ size }) => size % 4096 === 0) ? layers : undefined;
}
