import { directoryNames, directorySize } from "./directory.ts";
import { INODE_SIZE, type Inode, inlineBytes } from "./inode.ts";
import { BLOCK_SIZE, OPEN_BLOCKS, ROOT_NID, SLOT_SIZE } from "./limits.ts";
import { type DirectoryInode, isDirectory } from "./tree.ts";
import { xattrArea } from "./xattrs.ts";

/** What an inode takes up in the metadata area; worked out anew when it is asked for, since a layer has many inodes. */
export interface InodeSpan {
  size: number;
  /** Bytes of content that follow the inode. */
  inline: number;
  xattrs: Buffer;
  /** Of a directory, in the order of the format. */
  names: string[];
}

export interface Placement {
  /** In the order of their numbers; each has its nid. */
  inodes: Inode[];
  /** The directory above each directory; the root's is itself. */
  parents: ReadonlyMap<Inode, Inode>;
  /** Blocks of the area that holds the inodes. */
  blocks: number;
}

/** Byte offset of a placed inode in the metadata area. */
export function offsetOf(inode: Inode): number {
  return inode.nid * SLOT_SIZE;
}

export function spanOf(inode: Inode): InodeSpan {
  const names = isDirectory(inode) ? directoryNames(inode.content.children.keys()) : [];
  const xattrs = xattrArea(inode.xattrs, isDirectory(inode) && inode.content.opaque);
  const size = isDirectory(inode) ? directorySize(names) : contentSize(inode);
  const inline = inode.content.kind === "blocks" ? 0 : inlineBytes(INODE_SIZE + xattrs.length, size);
  return { size, inline, xattrs, names };
}

/**
 * Gives every inode its nid. The root comes first, then for each directory, depth first and in name order, the
 * inodes of its children together. An inode and what follows it never cross a block, unless its xattrs alone do.
 */
export function placeInodes(root: DirectoryInode): Placement {
  const inodes: Inode[] = [];
  const parents = new Map<Inode, Inode>();
  const area = createArea();

  function place(inode: Inode, parent: Inode): void {
    if (inode.nid !== 0) return;
    const { xattrs, inline } = spanOf(inode);
    const bytes = INODE_SIZE + xattrs.length + inline;
    inode.nid = (inode === root ? area.takeFirst(bytes) : area.take(bytes)) / SLOT_SIZE;
    if (isDirectory(inode)) parents.set(inode, parent);
    inodes.push(inode);
  }

  function placeChildren(directory: DirectoryInode): void {
    const { children } = directory.content;
    const subdirectories: DirectoryInode[] = [];
    for (const name of [...children.keys()].sort()) {
      const child = children.get(name);
      if (child === undefined) continue;
      place(child, directory);
      if (isDirectory(child)) subdirectories.push(child);
    }
    directory.nlink = 2 + subdirectories.length;
    for (const subdirectory of subdirectories) placeChildren(subdirectory);
  }

  place(root, root);
  placeChildren(root);
  return { inodes, parents, blocks: area.blocks() };
}

function contentSize(inode: Inode): number {
  switch (inode.content.kind) {
    case "blocks":
    case "small":
      return inode.content.size;
    case "symlink":
      return inode.content.target.length;
    default:
      return 0;
  }
}

/** Hands out places by best fit among a few blocks that still have room; a piece above a block begins on a new one. */
function createArea() {
  /** First free byte of each block that is still open. */
  const open: number[] = [];
  let blocks = 0;

  function takeNew(start: number, bytes: number): number {
    const end = align(start + bytes);
    blocks = Math.ceil(end / BLOCK_SIZE);
    if (roomAfter(end) >= INODE_SIZE) open.push(end);
    if (open.length > OPEN_BLOCKS) open.splice(indexOfLeastRoom(open, 0), 1);
    return start;
  }

  function take(bytes: number): number {
    const index = indexOfLeastRoom(open, bytes);
    const start = open[index];
    if (start === undefined) return takeNew(blocks * BLOCK_SIZE, bytes);
    const end = align(start + bytes);
    if (roomAfter(end) >= INODE_SIZE) open[index] = end;
    else open.splice(index, 1);
    return start;
  }

  return { take, takeFirst: (bytes: number) => takeNew(ROOT_NID * SLOT_SIZE, bytes), blocks: () => blocks };
}

/** The open block with the least room that still takes `bytes`, the earliest of equals; -1 for none. */
function indexOfLeastRoom(open: readonly number[], bytes: number): number {
  let best = -1;
  let bestRoom = Number.POSITIVE_INFINITY;
  for (let index = 0; index < open.length; index++) {
    const room = roomAfter(open[index] ?? 0);
    if (room >= bytes && room < bestRoom) {
      best = index;
      bestRoom = room;
    }
  }
  return best;
}

/** Free bytes of the block from this offset on; none at a block's end. */
function roomAfter(offset: number): number {
  return (BLOCK_SIZE - (offset % BLOCK_SIZE)) % BLOCK_SIZE;
}

function align(offset: number): number {
  return Math.ceil(offset / SLOT_SIZE) * SLOT_SIZE;
}
