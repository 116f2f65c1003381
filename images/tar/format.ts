import type { EntryType } from "../entry.ts";

/** Bytes of a header, and what contents are padded to (POSIX pax, "ustar Interchange Format"). */
export const BLOCK_SIZE = 512;

/** Where each header field stands: offset and length in bytes. */
export const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  link: [157, 100],
  magic: [257, 6],
  version: [263, 2],
  major: [329, 8],
  minor: [337, 8],
  prefix: [345, 155],
} as const satisfies Record<string, readonly [number, number]>;

export const MAGIC_POSIX = "ustar\u{0}";

export const TYPE_FLAGS: Readonly<Record<EntryType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/** PAX keyword prefix of an extended attribute; its value is the attribute's bytes as they are. */
export const XATTR_KEYWORD = "SCHILY.xattr.";

/** What a reader takes at most; Linux itself allows no more of each, but for the number of entries. */
export const TAR_LIMITS = {
  entries: 500_000,
  pathBytes: 4095,
  nameBytes: 255,
  linkBytes: 4095,
  xattrNameBytes: 255,
  xattrValueBytes: 65_536,
  /** A PAX record set or a GNU long name. */
  extendedHeaderBytes: 1024 * 1024,
  /** The highest owner: chown takes one more for "no change". */
  id: 0xffff_fffe,
  deviceMajor: 0xfff,
  deviceMinor: 0xf_ffff,
} as const;

/** Bytes of zeros behind a content of this size. */
export function paddingOf(size: number): number {
  return (BLOCK_SIZE - (size % BLOCK_SIZE)) % BLOCK_SIZE;
}
