import { closeSync, constants, fsyncSync, openSync } from "node:fs";
import { join } from "node:path";
import { hostPath } from "../../images/entry.ts";
import type { ListedEntry } from "../tree/listing.ts";

/** Makes a small finished tree durable (`<work>/listing` and what `entries` names below `<work>/root`). */
export function syncSmallTree(work: string, entries: readonly ListedEntry[]): void {
  const root = join(work, "root");
  for (const entry of entries) {
    if (entry.type === "file" || entry.type === "directory") syncPath(hostPath(root, entry.path));
  }
  syncPath(root);
  syncPath(join(work, "listing"));
  syncPath(work);
}

function syncPath(path: string | Buffer): void {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
