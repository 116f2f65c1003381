import type { BlockStream } from "./blocks.ts";
import { encodeDirectory } from "./directory.ts";
import { INODE_SIZE, writeInode } from "./inode.ts";
import { BLOCK_SIZE } from "./limits.ts";
import { type PlacedInode, placeInodes } from "./place.ts";
import type { DirectoryInode } from "./tree.ts";

/**
 * Appends the metadata area: the inodes with what follows them, then the blocks of directories and symlinks that
 * do not fit behind their inodes. Returns the number of inodes.
 */
export function writeMetadata(root: DirectoryInode, blocks: BlockStream): number {
  const placement = placeInodes(root);
  const area = Buffer.alloc(placement.blocks * BLOCK_SIZE);
  const outside: Buffer[] = [];
  let next = blocks.position() + placement.blocks;
  placement.inodes.forEach((placed, index) => {
    const { inode, offset, size, inline, xattrs } = placed;
    const { content } = inode;
    const bytes = contentBytes(placed);
    const rest = bytes.length - inline;
    let start = rest > 0 ? next : 0;
    if (content.kind === "blocks") start = content.start;
    if (content.kind === "device") start = content.rdev;
    writeInode(area, offset, inode, { size, inline, start, xattrs }, index + 1);
    xattrs.copy(area, offset + INODE_SIZE);
    bytes.copy(area, offset + INODE_SIZE + xattrs.length, rest);
    if (rest > 0) outside.push(bytes.subarray(0, rest));
    next += Math.ceil(rest / BLOCK_SIZE);
  });
  blocks.append(area);
  for (const bytes of outside) {
    blocks.append(bytes);
    blocks.pad();
  }
  return placement.inodes.length;
}

/** What an inode's content is besides file data that stands in blocks already. */
function contentBytes({ inode, directory }: PlacedInode): Buffer {
  const { content } = inode;
  switch (content.kind) {
    case "small":
      return content.bytes;
    case "symlink":
      return Buffer.from(content.target, "latin1");
    case "directory": {
      const { names = [], parent = inode } = directory ?? {};
      const special = new Map([
        [".", inode],
        ["..", parent],
      ]);
      return encodeDirectory(
        names.map((name) => {
          const { nid, mode } = content.children.get(name) ?? special.get(name) ?? inode;
          return { name, nid, mode };
        }),
      );
    }
    case "blocks":
    case "device":
    case "whiteout":
      return EMPTY;
  }
}

const EMPTY = Buffer.alloc(0);
