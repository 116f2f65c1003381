import type { EntryType } from "../../images/entry.ts";
import { parentOf } from "../../images/entry.ts";
import type { Tree } from "../tree/tree.ts";
import { type CpioEntry, writeCpio } from "./cpio.ts";

const TYPES: Partial<Record<EntryType, number>> = {
  directory: 0o040000,
  file: 0o100000,
  hardlink: 0o100000,
  symlink: 0o120000,
};

/** The files of a directory of the image as an archive that goes behind the recovery's own: at the same paths. */
export function recoveryArchive(tree: Tree, directory: string): Buffer {
  const entries: CpioEntry[] = parentsOf(directory).map((path) => ({ path, mode: 0o040755, bytes: Buffer.alloc(0) }));
  for (const { path, type, mode, link } of tree.below(directory)) {
    const kind = TYPES[type];
    if (kind === undefined) continue; // a device or a pipe is nothing that hostd brings
    const bytes = type === "symlink" ? Buffer.from(link, "latin1") : (tree.read(path) ?? Buffer.alloc(0));
    entries.push({ path, mode: kind | mode, bytes: type === "directory" ? Buffer.alloc(0) : bytes });
  }
  return writeCpio(entries);
}

function parentsOf(path: string): string[] {
  const parent = parentOf(path);
  return parent === "" ? [] : [...parentsOf(parent), parent];
}
