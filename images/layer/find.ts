import { createReadStream } from "node:fs";
import { READ_SIZE } from "../../effects/source.ts";
import type { ImageManifest } from "../../manifests/image.ts";
import type { Entry } from "../entry.ts";
import type { Store } from "../store.ts";
import { createTarReader } from "../tar/read.ts";
import { compressionOf, decompress } from "../zstd.ts";
import { readMarker } from "./markers.ts";

/** What one layer says about a path. */
type Finding = { kind: "file"; bytes: Buffer } | { kind: "gone" } | { kind: "unsaid" };

const UNSAID: Finding = { kind: "unsaid" };
const GONE: Finding = { kind: "gone" };

/**
 * The bytes of a regular file of an image as it is once all layers lie over each other; undefined where there is none,
 * or something else (a symlink too), or more than `limit` bytes. The layers must have been verified before.
 */
export async function readFromImage(
  store: Store,
  { layers }: ImageManifest,
  path: string,
  limit: number,
): Promise<Buffer | undefined> {
  for (const { digest, mediaType } of layers.toReversed()) {
    const blob = createReadStream(store.pathOf(digest), { highWaterMark: READ_SIZE });
    const found = await findInTar(decompress(blob, compressionOf(mediaType)), path, limit);
    if (found.kind === "file") return found.bytes;
    if (found.kind === "gone") return undefined;
  }
  return undefined;
}

/** Reads until the file is found; a marker or another kind of entry on the way to it says that it is gone. */
async function findInTar(tar: AsyncIterable<Buffer>, path: string, limit: number): Promise<Finding> {
  let result = UNSAID;
  let left = 0;
  let pieces: Buffer[] = [];
  const reader = createTarReader({
    entry(entry) {
      left = 0;
      const isWanted = entry.path === path && entry.type === "file" && entry.size <= limit;
      if (isWanted && entry.size === 0) result = { kind: "file", bytes: Buffer.alloc(0) };
      else if (isWanted) [left, pieces] = [entry.size, []];
      else if (hides(entry, path)) result = GONE;
    },
    data(chunk) {
      if (left === 0) return;
      pieces.push(chunk);
      left -= chunk.length;
      if (left === 0) result = { kind: "file", bytes: Buffer.concat(pieces) };
    },
  });
  for await (const chunk of tar) {
    reader.push(chunk);
    if (result.kind === "file") return result;
  }
  reader.finish();
  return result;
}

/** True where an entry takes the path away from the layers below: a marker on the way to it, or what is no directory. */
function hides({ path: found, type }: Entry, path: string): boolean {
  const marker = readMarker(found);
  if (marker === undefined) return found === path || (type !== "directory" && path.startsWith(`${found}/`));
  if ("opaque" in marker) return marker.opaque === "" || path.startsWith(`${marker.opaque}/`);
  return marker.gone === path || path.startsWith(`${marker.gone}/`);
}
