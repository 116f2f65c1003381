import { readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { parentOf } from "../../images/entry.ts";
import { findInside } from "../tree/inside.ts";
import type { Tree } from "../tree/tree.ts";
import type { MountPoint } from "./overlay.ts";

/** Takes mount points that the tree did not have out of an upper directory, where a step's own change put them there. */
export function removeMountPoints(upper: string, points: readonly MountPoint[], tree: Tree): void {
  for (const { path } of points) {
    for (let at = path; at !== "" && tree.at(at) === undefined; at = parentOf(at)) {
      if (!removeEmpty(upper, at)) break;
    }
  }
}

/** True when the path is gone afterwards: an empty file or directory is removed, anything else stays. */
function removeEmpty(upper: string, at: string): boolean {
  const found = findInside(upper, at);
  if (found === undefined) return true;
  const { path, stats } = found;
  if (stats.isDirectory() && readdirSync(path).length === 0) rmdirSync(path);
  else if (stats.isFile() && stats.size === 0) unlinkSync(path);
  else return false;
  return true;
}
