import { join } from "node:path";
import { syncEach } from "../../effects/durable.ts";
import { hostPath } from "../../images/entry.ts";
import type { ListedEntry } from "../tree/listing.ts";

/** Makes a small finished tree durable (`<work>/listing` and what `entries` names below `<work>/root`). */
export function syncSmallTree(work: string, entries: readonly ListedEntry[]): void {
  const root = join(work, "root");
  const kept = entries.filter(({ type }) => type === "file" || type === "directory");
  syncEach([...kept.map((entry) => hostPath(root, entry.path)), root, join(work, "listing"), work]);
}
