import { chmodSync, closeSync, mkdirSync, openSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { hostPath, parentOf } from "../../images/entry.ts";
import { BuildError } from "../error.ts";

/** The kernel takes at most 500 lower directories. */
const LOWER_LIMIT = 498;

/** Why each: no redirects and no metadata-only copies, so an upper directory is whole by itself; nothing is synced here. */
const OPTIONS = "redirect_dir=off,metacopy=off,index=off,xino=off";

/** A path inside the tree that something is mounted on, relative to the root. */
export interface MountPoint {
  path: string;
  directory: boolean;
}

export interface OverlayInput {
  /** An empty directory on the cache's file system. */
  directory: string;
  /** Lowest first. */
  layers: readonly string[];
  /** Undefined mounts the tree read-only. */
  upper: string | undefined;
  mountPoints: readonly MountPoint[];
}

/**
 * Fills a directory with what mounting a tree needs and gives the mount options, relative to it. Mount points that the
 * tree lacks come from a lowest directory of our own, so that none is left in the layer.
 */
export function prepareOverlay(input: OverlayInput): string {
  const { directory, layers, upper } = input;
  if (layers.length > LOWER_LIMIT) {
    throw new BuildError(
      "overlay",
      `expected at most ${LOWER_LIMIT} steps on top of each other, got ${layers.length}`,
      {
        hint: "join RUN lines into one",
      },
    );
  }
  for (const name of ["merged", "work", "scaffold", "lower"]) mkdirSync(join(directory, name));
  for (const point of input.mountPoints) makeMountPoint(join(directory, "scaffold"), point);
  // short names: all mount options together have one page of 4096 bytes
  const lower = layers.map((layer, index) => {
    symlinkSync(layer, join(directory, "lower", index.toString(36)));
    return `lower/${index.toString(36)}`;
  });
  const lowers = `lowerdir=${[...lower.reverse(), "scaffold"].join(":")}`;
  if (upper === undefined) {
    mkdirSync(join(directory, "empty")); // a read-only overlay needs two lower directories
    return `${lowers}:empty,${OPTIONS}`;
  }
  symlinkSync(upper, join(directory, "upper"));
  return `${lowers},upperdir=upper,workdir=work,volatile,${OPTIONS}`;
}

function makeMountPoint(scaffold: string, point: MountPoint): void {
  const parent = parentOf(point.path);
  if (point.path !== parent) makeDirectory(scaffold, point.directory ? point.path : parent);
  if (!point.directory) closeSync(openSync(hostPath(scaffold, point.path), "a", 0o644));
}

/** With mode 0755 all the way, whatever the umask: users other than root must get through. */
function makeDirectory(scaffold: string, path: string): void {
  const host = hostPath(scaffold, path);
  if (path !== "") makeDirectory(scaffold, parentOf(path));
  mkdirSync(host, { recursive: true });
  chmodSync(host, 0o755);
}
