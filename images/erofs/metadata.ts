import type { BlockStream } from "./blocks.ts";
import { encodeDirectory } from "./directory.ts";
import { INODE_SIZE, type Inode, writeInode } from "./inode.ts";
import { BLOCK_SIZE, ENTRY_LIMITS } from "./limits.ts";
import { type InodeSpan, offsetOf, type Placement, placeInodes, spanOf } from "./place.ts";
import type { SmallFiles } from "./small.ts";
import type { DirectoryInode } from "./tree.ts";

/**
 * Appends the metadata area: the inodes with what follows them, then the blocks of directories and symlinks that
 * do not fit behind their inodes. Returns the number of inodes. It is made piece by piece: whole, it would take as
 * much memory again as the tree.
 */
export function writeMetadata(root: DirectoryInode, blocks: BlockStream, small: SmallFiles): number {
  const placement: Kept = { ...placeInodes(root), small };
  const outside = placeOutside(placement, blocks.position() + placement.blocks);
  writeArea(placement, outside, blocks);
  for (const inode of outside.keys()) {
    const span = spanOf(inode);
    blocks.append(contentBytes(placement, inode, span).subarray(0, span.size - span.inline));
    blocks.pad();
  }
  return placement.inodes.length;
}

type Kept = Placement & { small: SmallFiles };

/** First block of each content that stands outside the area, in the order in which these follow it. */
function placeOutside({ inodes }: Placement, first: number): Map<Inode, number> {
  const outside = new Map<Inode, number>();
  let next = first;
  for (const inode of inodes) {
    if (inode.content.kind === "blocks") continue;
    const { size, inline } = spanOf(inode);
    if (size === inline) continue;
    outside.set(inode, next);
    next += Math.ceil((size - inline) / BLOCK_SIZE);
  }
  return outside;
}

/** The inodes by their place; their numbers count them as they were placed. */
function writeArea(placement: Kept, outside: ReadonlyMap<Inode, number>, blocks: BlockStream): void {
  const { inodes } = placement;
  const order = Uint32Array.from(inodes.keys()).sort((a, b) => (inodes[a]?.nid ?? 0) - (inodes[b]?.nid ?? 0));
  const scratch = Buffer.alloc(INODE_SIZE + XATTR_AREA_LIMIT + BLOCK_SIZE);
  let written = 0;
  for (const index of order) {
    const inode = inodes[index];
    if (inode === undefined) continue;
    const span = spanOf(inode);
    const { size, inline, xattrs } = span;
    const bytes = scratch.subarray(0, INODE_SIZE + xattrs.length + inline).fill(0);
    writeInode(bytes, 0, inode, { size, inline, start: startOf(inode, outside), xattrs }, index + 1);
    xattrs.copy(bytes, INODE_SIZE);
    if (inline > 0) contentBytes(placement, inode, span).copy(bytes, INODE_SIZE + xattrs.length, size - inline);
    const offset = offsetOf(inode);
    blocks.append(ZEROS.subarray(0, offset - written));
    blocks.append(bytes);
    written = offset + bytes.length;
  }
  blocks.pad();
}

/** Most bytes of an inode's attributes with their header. */
const XATTR_AREA_LIMIT = ENTRY_LIMITS.xattrBytes + 12;

/** Between two inodes lies less than a block. */
const ZEROS = Buffer.alloc(BLOCK_SIZE);

function startOf(inode: Inode, outside: ReadonlyMap<Inode, number>): number {
  if (inode.content.kind === "blocks") return inode.content.start;
  if (inode.content.kind === "device") return inode.content.rdev;
  return outside.get(inode) ?? 0;
}

/** What an inode's content is besides file data that stands in blocks already. */
function contentBytes({ parents, small }: Kept, inode: Inode, { names }: InodeSpan): Buffer {
  const { content } = inode;
  switch (content.kind) {
    case "small":
      return small.read(content.place, content.size);
    case "symlink":
      return Buffer.from(content.target, "latin1");
    case "directory":
      return encodeDirectory(
        names.map((name) => {
          const { nid, mode } = content.children.get(name) ?? (name === ".." ? (parents.get(inode) ?? inode) : inode);
          return { name, nid, mode };
        }),
      );
    case "blocks":
    case "device":
    case "whiteout":
      return EMPTY;
  }
}

const EMPTY = Buffer.alloc(0);
