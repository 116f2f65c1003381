import { type Entry, parentOf } from "../entry.ts";
import { layerError } from "./error.ts";

export interface LayerRules {
  /** Refuses an entry that does not fit those before it; remembers it. */
  check(entry: Entry): void;
  /** What an entry was: a directory, something else, or not there. */
  kindOf(path: string): EntryKind | undefined;
}

type EntryKind = "directory" | "other";

/**
 * What holds between the entries of one layer. A layer carries every parent directory, before what is in it: one that
 * is missing would get invented attributes, and these would hide the true ones of the layers below. A hard link names
 * an earlier entry that is not a directory. A path comes once; where `repeated` is true it may come again, a directory
 * in place of a directory and anything else in place of anything else.
 */
export function createLayerRules({ repeated }: { repeated: boolean }): LayerRules {
  const kinds = new Map<string, EntryKind>();

  function checkParent(path: string): void {
    const kind = kinds.get(parentOf(path));
    if (kind === "directory") return;
    if (kind === "other") throw layerError("layer-order", path, "expected its parent to be a directory");
    throw layerError("layer-order", path, "expected an entry of its parent directory before it");
  }

  return {
    check(entry) {
      const { path, type } = entry;
      const kind = type === "directory" ? "directory" : "other";
      checkName(path, kind);
      const before = kinds.get(path);
      if (before !== undefined && !(repeated && before === kind)) {
        throw layerError("layer-order", path, "expected one entry of this path, got another");
      }
      if (path !== "") checkParent(path);
      if (type === "hardlink" && (kinds.get(entry.link) !== "other" || entry.link === path)) {
        throw layerError("layer-order", path, "expected a hard link to an earlier entry that is not a directory");
      }
      kinds.set(path, kind);
    },
    kindOf: (path) => kinds.get(path),
  };
}

function checkName(path: string, kind: EntryKind): void {
  if (path === "" && kind === "directory") return;
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (name !== "" && name !== "." && name !== "..") return;
  throw layerError("layer-name", path, "expected a name at the end of its path");
}
