/** Version of the layout (docs/formats/erofs.md): any change of the bytes for some layer is a new number. */
export const EROFS_FORMAT = 1;

/** Bytes of a file system block, and of a dm-verity data and hash block. */
export const BLOCK_SIZE = 4096;

/** A nid counts slots of this many bytes from the start of the metadata area. */
export const SLOT_SIZE = 32;

/** The root inode's nid: the first inode stands in slot 2, since an inode number 0 confuses readers. */
export const ROOT_NID = 2;

/** Files up to this many bytes stand behind their inode; others begin on a block of their own. */
export const INLINE_FILE_LIMIT = 2048;

/** Metadata blocks that still take inodes while later ones are placed. */
export const OPEN_BLOCKS = 64;

/** What one layer may hold; each bounds the memory of the writer, which keeps these parts until the end. */
export const LAYER_LIMITS = {
  /** Names in the tree, whiteouts too. */
  entries: 500_000,
  /** Bytes of small file contents kept for the inodes; files after that begin on blocks. */
  inlineBytes: 64 * 1024 * 1024,
  /** Bytes of extended attributes and symlink targets. */
  attributeBytes: 64 * 1024 * 1024,
} as const;

/** Limits of Linux and of the format on one entry. */
export const ENTRY_LIMITS = {
  nameBytes: 255,
  pathBytes: 4095,
  symlinkBytes: 4095,
  xattrNameBytes: 255,
  xattrValueBytes: 65_535,
  /** All entries of an inode: the count field is 16 bits of 4-byte units. */
  xattrBytes: 65_534 * 4,
  id: 0xffff_ffff,
  major: 0xfff,
  minor: 0xf_ffff,
  nanoseconds: 999_999_999,
  blocks: 0xffff_ffff,
} as const;
