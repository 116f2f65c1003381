import { type Entry, parentOf, plainEntry, type TarVisitor } from "../entry.ts";
import { END_OF_ARCHIVE, encodeHeader, padding } from "../tar/write.ts";
import { layerError } from "./error.ts";
import { OPAQUE_VALUE, OPAQUE_XATTR, readMarker } from "./markers.ts";
import { createLayerRules } from "./rules.ts";

export interface Extraction extends TarVisitor {
  /** The bytes of the archive made so far, handed out once. */
  taken(): Buffer[];
  /** Ends the archive with what only the whole layer says: whiteouts and opaque directories. */
  finish(): void;
}

/**
 * Turns a layer's entries into a tar archive of its overlay form. Markers count wherever they stand and are decided at
 * the end, since a layer hides only what is below it: `.wh.d` beside a directory `d` of the same layer makes d opaque.
 */
export function createExtraction(missingParents: "refuse" | "create"): Extraction {
  const rules = createLayerRules({ repeated: true });
  const directories = new Map<string, Entry>();
  const gone = new Set<string>();
  const opaque = new Set<string>();
  let bytes: Buffer[] = [];
  let size = 0;
  let skipping = false;

  function add(entry: Entry): void {
    bytes.push(padding(size), encodeHeader(entry));
    size = entry.size;
  }

  function addChecked(entry: Entry): void {
    rules.check(entry);
    if (entry.type === "directory") directories.set(entry.path, entry);
    add(entry);
  }

  /** Layers of other tools often leave out their root. */
  function addMissingParents(path: string): void {
    const parent = parentOf(path);
    if (path === "" || rules.kindOf(parent) !== undefined) return;
    addMissingParents(parent);
    if (parent === "" || missingParents === "create") addChecked(plainEntry(parent, "directory", 0o755));
  }

  function addMarker(marker: { opaque: string } | { gone: string }, path: string): void {
    addMissingParents(path);
    if ("opaque" in marker) opaque.add(marker.opaque);
    else gone.add(marker.gone);
  }

  function directoryOf(path: string): Entry {
    const directory = directories.get(path);
    if (directory !== undefined) return directory;
    throw layerError("layer-order", path, "expected an entry of the directory that a .wh. name stands in");
  }

  return {
    entry(entry) {
      const marker = readMarker(entry.path);
      skipping = marker !== undefined;
      if (marker !== undefined) {
        addMarker(marker, entry.path);
      } else {
        addMissingParents(entry.path);
        addChecked(entry);
      }
    },
    data(chunk) {
      if (!skipping) bytes.push(chunk);
    },
    taken() {
      const taken = bytes;
      bytes = [];
      return taken;
    },
    finish() {
      for (const path of gone) if (rules.kindOf(path) === "directory") opaque.add(path);
      for (const path of opaque) {
        const directory = directoryOf(path);
        add({ ...directory, xattrs: new Map(directory.xattrs).set(OPAQUE_XATTR, Buffer.from(OPAQUE_VALUE)) });
      }
      for (const path of gone) {
        const parent = directoryOf(parentOf(path)).path;
        if (rules.kindOf(path) === undefined && !opaque.has(parent)) add(plainEntry(path, "character", 0));
      }
      bytes.push(padding(size), END_OF_ARCHIVE);
    },
  };
}
