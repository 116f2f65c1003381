import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { loadImage } from "../../images/image.ts";
import { openStore } from "../../images/store.ts";
import { envelopesPath } from "../../keys/envelopes.ts";
import { bootBlobs, bootOf } from "../../manifests/boot.ts";
import { type Digest, hexOf } from "../../manifests/digest.ts";
import { BLOBS, verityOf } from "../../manifests/image.ts";

/** A file of a repository that a node needs for one product. Paths are relative to the repository's root. */
export interface RepositoryFile {
  path: string;
  /** Named by its content or its version: whoever has it never needs it again. */
  immutable: boolean;
  /** Where a node that works on has the same content already, below its state directory: the blob is not needed then. */
  laidDown?: string;
}

/** What a node needs of a repository to take in an image, in the order in which it may arrive: what names comes after what is named. */
export interface Contents {
  files: RepositoryFile[];
  /** Whether activating it starts the node anew. */
  host: boolean;
}

/** Lists the blobs of an image, its statements and all metadata of a repository directory; the timestamp comes last. */
export async function contentsOf(repository: string, image: Digest): Promise<Contents> {
  const store = await openStore(join(repository, "oci"));
  const { manifest, descriptor } = await loadImage(store, image);
  const boot = bootOf(manifest);
  const parts = boot === undefined ? [] : bootBlobs(boot);
  const blobs: RepositoryFile[] = [
    ...manifest.layers.map((layer) => ({ ...blobOf(layer), laidDown: `layers/${verityOf(layer).root}.erofs` })),
    ...parts.map((part) => ({ ...blobOf(part), laidDown: `host/parts/${hexOf(part.digest)}` })),
    blobOf(manifest.config),
    blobOf(descriptor),
  ];
  const statements = { path: envelopesPath(image), immutable: false };
  const targets = await filesBelow(repository, "targets");
  const metadata = await filesBelow(repository, "metadata");
  return { files: [...blobs, statements, ...targets, ...metadata.sort(byFreshness)], host: boot !== undefined };
}

function blobOf({ digest }: { digest: Digest }): RepositoryFile {
  return { path: `${BLOBS}/${hexOf(digest)}`, immutable: true };
}

/** Targets carry their hash in their name, metadata its version (TUF, consistent snapshots); the timestamp has neither. */
async function filesBelow(repository: string, directory: string): Promise<RepositoryFile[]> {
  const entries = await readdir(join(repository, directory), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => join(entry.parentPath, entry.name).slice(repository.length + 1))
    .map((path) => ({ path, immutable: !path.endsWith("/timestamp.json") }))
    .sort((one, other) => (one.path < other.path ? -1 : 1));
}

function byFreshness(one: RepositoryFile, other: RepositoryFile): number {
  return Number(!one.immutable) - Number(!other.immutable);
}
