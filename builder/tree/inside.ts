import { lstatSync, type Stats } from "node:fs";
import { hasErrno } from "../../effects/errno.ts";
import { hostPath, parentOf } from "../../images/entry.ts";

/**
 * The entry of a path in a directory that a step has written, or undefined where there is none. A link on the way is
 * never followed: it may point anywhere on this machine.
 */
export function findInside(directory: string, path: string): { path: string | Buffer; stats: Stats } | undefined {
  const parent = parentOf(path);
  if (path !== parent && parent !== "" && findInside(directory, parent)?.stats.isDirectory() !== true) return undefined;
  const host = hostPath(directory, path);
  try {
    return { path: host, stats: lstatSync(host) };
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}
