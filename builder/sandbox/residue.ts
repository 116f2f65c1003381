import { lstatSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { hasErrno } from "../../effects/errno.ts";
import { hostPath, parentOf } from "../../images/entry.ts";
import type { Tree } from "../tree/tree.ts";
import type { MountPoint } from "./overlay.ts";

/** Takes mount points that the tree did not have out of an upper directory, where a step's own change put them there. */
export function removeMountPoints(upper: string, points: readonly MountPoint[], tree: Tree): void {
  for (const { path } of points) {
    for (let at = path; at !== "" && tree.at(at) === undefined; at = parentOf(at)) {
      if (!removeEmpty(hostPath(upper, at))) break;
    }
  }
}

/** True when the path is gone afterwards: an empty file or directory is removed, anything else stays. */
function removeEmpty(path: string | Buffer): boolean {
  try {
    const stats = lstatSync(path);
    if (stats.isDirectory() && readdirSync(path).length === 0) rmdirSync(path);
    else if (stats.isFile() && stats.size === 0) unlinkSync(path);
    else return false;
    return true;
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return true;
    throw error;
  }
}
