import { crc32c } from "./crc32c.ts";
import { BLOCK_SIZE, ROOT_NID } from "./limits.ts";

/** The superblock's offset in block 0. */
const SUPERBLOCK_OFFSET = 1024;

const MAGIC = 0xe0f5e1e2;
const FEATURE_CHECKSUM = 0x1;
const FEATURE_MTIME = 0x2;
const BLOCK_BITS = 12;

export interface SuperblockFields {
  inodes: number;
  /** Blocks of the whole image. */
  blocks: number;
  /** First block of the metadata area. */
  metadataBlock: number;
}

/** Block 0 of an image: zeros but for the superblock and its checksum. No volume name, no uuid, no build time. */
export function encodeSuperblock(fields: SuperblockFields): Buffer {
  const block = Buffer.alloc(BLOCK_SIZE);
  const superblock = block.subarray(SUPERBLOCK_OFFSET);
  superblock.writeUInt32LE(MAGIC, 0);
  superblock.writeUInt32LE(FEATURE_CHECKSUM | FEATURE_MTIME, 8);
  superblock.writeUInt8(BLOCK_BITS, 12);
  superblock.writeUInt16LE(ROOT_NID, 14);
  superblock.writeUInt32LE(fields.inodes, 16);
  superblock.writeUInt32LE(fields.blocks, 36);
  superblock.writeUInt32LE(fields.metadataBlock, 40);
  superblock.writeUInt32LE(crc32c(superblock), 4);
  return block;
}
