import { BLOCK_SIZE } from "./limits.ts";

/** Bytes of an extended inode, the only form written: it has its own mtime and 32-bit owners. */
export const INODE_SIZE = 64;

/** File type bits of st_mode. */
export const MODE_TYPES = {
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
} as const;

const FORMAT_EXTENDED = 1;
const LAYOUT_PLAIN = 0;
const LAYOUT_INLINE = 2;

/** What one file is, whatever its names: the inode of the image before it has a place. */
export interface Inode {
  /** Type and permission bits. */
  mode: number;
  uid: number;
  gid: number;
  seconds: number;
  nanoseconds: number;
  nlink: number;
  /** Encoded extended attributes without the header; undefined for none. */
  xattrs: Buffer | undefined;
  content: Content;
  /** 0 until it has a place. */
  nid: number;
}

export type Content =
  | DirectoryContent
  /** File data that stands in blocks already; an empty file has size 0. */
  | { kind: "blocks"; size: number; start: number }
  /** A small file, whose bytes are kept apart until its inode is written. */
  | { kind: "small"; size: number; place: number }
  | { kind: "symlink"; target: string }
  | { kind: "device"; rdev: number }
  /** Hides the name in the layers below: a character device 0:0. */
  | { kind: "whiteout" };

export interface DirectoryContent {
  kind: "directory";
  /** Names are latin1 strings of raw bytes. */
  children: Map<string, Inode>;
  /** False for a directory known only as the parent of an entry so far. */
  declared: boolean;
  /** Hides the whole directory of the layers below. */
  opaque: boolean;
}

/** How an inode's bytes are spread: `inline` bytes follow the inode, the rest stands in blocks from `start` on. */
export interface InodeLayout {
  size: number;
  inline: number;
  /** First block of the rest, or the device number; 0 where there is neither. */
  start: number;
  /** Encoded extended attributes with their header; empty for none. */
  xattrs: Buffer;
}

/** Writes the 64 bytes of an inode; xattrs and inline bytes follow it and are the caller's to place. */
export function writeInode(target: Buffer, offset: number, inode: Inode, layout: InodeLayout, serial: number): void {
  const form = layout.inline > 0 ? LAYOUT_INLINE : LAYOUT_PLAIN;
  target.writeUInt16LE(FORMAT_EXTENDED | (form << 1), offset);
  target.writeUInt16LE(xattrUnits(layout.xattrs.length), offset + 2);
  target.writeUInt16LE(inode.mode, offset + 4);
  writeUInt64(target, layout.size, offset + 8);
  target.writeUInt32LE(layout.start, offset + 16);
  target.writeUInt32LE(serial, offset + 20);
  target.writeUInt32LE(inode.uid, offset + 24);
  target.writeUInt32LE(inode.gid, offset + 28);
  writeUInt64(target, inode.seconds, offset + 32);
  target.writeUInt32LE(inode.nanoseconds, offset + 40);
  target.writeUInt32LE(inode.nlink, offset + 44);
}

/** The device number as EROFS stores it. */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/**
 * Bytes of `size` that may follow an inode whose own bytes and xattrs take `head`: the part after the last full
 * block, when all of it fits one block.
 */
export function inlineBytes(head: number, size: number): number {
  const tail = size % BLOCK_SIZE;
  return head + tail <= BLOCK_SIZE ? tail : 0;
}

/** The inode's xattr count field: 0 for none, else 1 and the 4-byte units after the 12-byte header. */
function xattrUnits(bytes: number): number {
  return bytes === 0 ? 0 : 1 + (bytes - 12) / 4;
}

/** A whole number, negative ones in two's complement. */
function writeUInt64(target: Buffer, value: number, offset: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  target.writeUInt32LE(value - high * 0x1_0000_0000, offset);
  target.writeInt32LE(high, offset + 4);
}
