import { type Entry, parentOf, plainEntry, type SourceEntry } from "../entry.ts";
import { layerError } from "./error.ts";

/** How a layer says what is gone (image-spec layer.md, "Whiteouts"). */
const WHITEOUT_PREFIX = ".wh.";
const OPAQUE_NAME = ".wh..wh..opq";

/** How overlayfs says it in a directory. */
export const OPAQUE_XATTR = "trusted.overlay.opaque";
export const OPAQUE_VALUE = "y";

export const OVERLAY_PREFIX = "trusted.overlay.";

/** True for overlayfs's sign that the name is gone: a character device 0:0. */
export function isWhiteout(entry: Entry): boolean {
  return entry.type === "character" && entry.device.major === 0 && entry.device.minor === 0;
}

/** Turns entries in overlay form into those of a layer's tar: what is gone gets a name of its own. */
export function createMarkerEncoder(): (entry: SourceEntry) => SourceEntry[] {
  const opaque = new Set<string>();
  return (entry) => {
    const parent = parentOf(entry.path);
    if (isWhiteout(entry)) {
      // In an opaque directory nothing of the layers below is left to hide.
      return opaque.has(parent) ? [] : [marker(parent, WHITEOUT_PREFIX + nameOf(entry.path))];
    }
    refuseReservedName(entry);
    if (entry.xattrs.size === 0) return [entry];
    const xattrs = new Map(entry.xattrs);
    const hidesAll = entry.type === "directory" && xattrs.get(OPAQUE_XATTR)?.toString("latin1") === OPAQUE_VALUE;
    if (hidesAll) xattrs.delete(OPAQUE_XATTR);
    refuseOverlayXattrs(entry.path, xattrs);
    if (!hidesAll) return [entry];
    opaque.add(entry.path);
    return [{ ...entry, xattrs }, marker(entry.path, OPAQUE_NAME)];
  };
}

/** What a marker's name says: the whole of its directory is gone, or the entry of this path. Undefined for no marker. */
export function readMarker(path: string): { opaque: string } | { gone: string } | undefined {
  const name = nameOf(path);
  if (!name.startsWith(WHITEOUT_PREFIX)) return undefined;
  const parent = parentOf(path);
  if (name === OPAQUE_NAME) return { opaque: parent };
  const gone = name.slice(WHITEOUT_PREFIX.length);
  if (gone === "" || gone === "." || gone === ".." || gone.startsWith(WHITEOUT_PREFIX)) {
    throw layerError("layer-name", path, "expected the name of what is gone behind .wh.");
  }
  return { gone: parent === "" ? gone : `${parent}/${gone}` };
}

/** True for a path whose name a layer would take for a marker. */
export function isReservedName(path: string): boolean {
  return nameOf(path).startsWith(WHITEOUT_PREFIX);
}

/** A marker has no attributes that mean anything, so it has always the same. */
function marker(parent: string, name: string): SourceEntry {
  return plainEntry(parent === "" ? name : `${parent}/${name}`, "file", 0o644);
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function refuseReservedName(entry: Entry): void {
  if (!isReservedName(entry.path)) return;
  throw layerError("layer-name", entry.path, `expected a name that does not begin with ${WHITEOUT_PREFIX}`);
}

function refuseOverlayXattrs(path: string, xattrs: ReadonlyMap<string, Buffer>): void {
  const found = [...xattrs.keys()].find((name) => name.startsWith(OVERLAY_PREFIX));
  if (found !== undefined)
    throw layerError("layer-attribute", path, `expected no attribute of overlayfs, got ${found}`);
}
