import { MODE_TYPES } from "./inode.ts";
import { BLOCK_SIZE } from "./limits.ts";

/** One name of a directory, ready to be written. */
export interface DirectoryEntry {
  /** latin1 string of raw bytes. */
  name: string;
  nid: number;
  /** File type bits of st_mode. */
  mode: number;
}

const ENTRY_SIZE = 12;
const TYPE_BITS = 0o170000;
/** File types as directory entries give them, by the type bits of st_mode. */
const TYPES = new Map<number, number>([
  [MODE_TYPES.file, 1],
  [MODE_TYPES.directory, 2],
  [MODE_TYPES.character, 3],
  [MODE_TYPES.block, 4],
  [MODE_TYPES.fifo, 5],
  [MODE_TYPES.symlink, 7],
]);

/** All names of a directory in the order of the format: as unsigned bytes, `.` and `..` among the others. */
export function directoryNames(children: Iterable<string>): string[] {
  return [".", "..", ...children].sort();
}

/** Bytes that a directory of these names takes: full blocks and the used part of the last. */
export function directorySize(names: readonly string[]): number {
  let blocks = 0;
  let used = 0;
  for (const name of names) {
    const cost = ENTRY_SIZE + name.length;
    if (used + cost > BLOCK_SIZE) {
      blocks++;
      used = 0;
    }
    used += cost;
  }
  return blocks * BLOCK_SIZE + used;
}

/** The bytes of a directory: blocks of fixed entries followed by their names. Entries come in directoryNames order. */
export function encodeDirectory(entries: readonly DirectoryEntry[]): Buffer {
  const bytes = Buffer.alloc(directorySize(entries.map((entry) => entry.name)));
  let block = 0;
  let first = 0;
  while (first < entries.length) {
    const end = endOfBlock(entries, first);
    writeBlock(bytes, block * BLOCK_SIZE, entries.slice(first, end));
    first = end;
    block++;
  }
  return bytes;
}

function endOfBlock(entries: readonly DirectoryEntry[], first: number): number {
  let used = 0;
  let index = first;
  for (; index < entries.length; index++) {
    used += ENTRY_SIZE + (entries[index]?.name.length ?? 0);
    if (used > BLOCK_SIZE) break;
  }
  return index;
}

function writeBlock(bytes: Buffer, start: number, entries: readonly DirectoryEntry[]): void {
  let name = entries.length * ENTRY_SIZE;
  entries.forEach((entry, index) => {
    const at = start + index * ENTRY_SIZE;
    bytes.writeUInt32LE(entry.nid, at);
    bytes.writeUInt16LE(name, at + 8);
    bytes.writeUInt8(TYPES.get(entry.mode & TYPE_BITS) ?? 0, at + 10);
    bytes.write(entry.name, start + name, "latin1");
    name += entry.name.length;
  });
}
