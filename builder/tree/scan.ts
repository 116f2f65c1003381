import { lutimesSync } from "node:fs";
import { hostPath } from "../../images/entry.ts";
import { isWhiteout } from "../../images/layer/markers.ts";
import { walkDirectory } from "../../images/layer/walk.ts";
import { hashFile } from "../source/hashes.ts";
import type { ListedEntry } from "./listing.ts";

/**
 * Lists a finished upper directory, with content digests. Times later than `epoch` (seconds since 1970) become it, and
 * fractions of a second go, on disk as in the list: what a step leaves does not depend on when it ran.
 */
export async function scanTree(directory: string, epoch: number): Promise<ListedEntry[]> {
  const entries = await walkDirectory(directory);
  return entries.map((entry) => {
    if (isWhiteout(entry)) return { ...entry, mode: 0, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 } };
    const path = hostPath(directory, entry.path);
    const seconds = Math.min(entry.mtime.seconds, epoch);
    if (seconds !== entry.mtime.seconds || entry.mtime.nanoseconds !== 0) lutimesSync(path, seconds, seconds);
    const listed: ListedEntry = { ...entry, mtime: { seconds, nanoseconds: 0 } };
    return entry.type === "file" ? { ...listed, sha256: hashFile(path, entry.size) } : listed;
  });
}
