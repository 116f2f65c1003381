import { readFileSync } from "node:fs";

// Reads EROFS images for tests alone: uncompressed, extended inodes, inline xattrs. It shares no code with the
// writer and checks what a kernel would trip over, so that a round trip needs neither root nor a mount.

const BLOCK = 4096;
const XATTR_PREFIXES: Record<number, string> = {
  1: "user.",
  2: "system.posix_acl_access",
  3: "system.posix_acl_default",
  4: "trusted.",
  6: "security.",
};
const TYPES: Record<number, string> = {
  1: "file",
  2: "directory",
  3: "character",
  4: "block",
  5: "fifo",
  7: "symlink",
};
const MODES = new Map([
  [0x8, "file"],
  [0x4, "directory"],
  [0x2, "character"],
  [0x6, "block"],
  [0x1, "fifo"],
  [0xa, "symlink"],
]);

export interface ReadInode {
  nid: number;
  type: string;
  mode: number;
  uid: number;
  gid: number;
  seconds: bigint;
  nanoseconds: number;
  nlink: number;
  size: number;
  layout: "plain" | "inline";
  device: { major: number; minor: number };
  content: Buffer;
  xattrs: Record<string, string>;
}

export interface ReadImage {
  superblock: {
    inodes: number;
    blocks: number;
    metadataBlock: number;
    rootNid: number;
    compat: number;
    incompat: number;
  };
  /** Every path as a latin1 string, the root as "". */
  paths: Map<string, ReadInode>;
  lookup(directory: ReadInode, name: string): number | undefined;
}

/** Reads a whole image; throws an Error that says what is wrong with it. */
export function readErofs(source: Buffer | string): ReadImage {
  const bytes = typeof source === "string" ? readFileSync(source) : source;
  const at = 1024;
  const superblock = {
    inodes: Number(bytes.readBigUInt64LE(at + 16)),
    blocks: bytes.readUInt32LE(at + 36),
    metadataBlock: bytes.readUInt32LE(at + 40),
    rootNid: bytes.readUInt16LE(at + 14),
    compat: bytes.readUInt32LE(at + 8),
    incompat: bytes.readUInt32LE(at + 80),
  };
  need(bytes.readUInt32LE(at) === 0xe0f5e1e2, "no magic");
  need(bytes.readUInt8(at + 12) === 12, "block size is not 4096");
  need(bytes.readUInt32LE(at + 4) === checksum(bytes), "wrong superblock checksum");
  need(superblock.incompat === 0, "incompatible features");
  const paths = new Map<string, ReadInode>();
  const inodes = new Map<number, ReadInode>();

  function inode(nid: number): ReadInode {
    const known = inodes.get(nid);
    if (known !== undefined) return known;
    const read = readInode(bytes, superblock.metadataBlock * BLOCK + nid * 32, nid);
    inodes.set(nid, read);
    return read;
  }

  function walk(path: string, directory: ReadInode, parent: ReadInode): void {
    need(!paths.has(path), `${path}: twice in the tree`);
    paths.set(path, directory);
    let subdirectories = 0;
    for (const { name, nid, type } of entriesOf(directory)) {
      const found = inode(nid);
      need(TYPES[type] === found.type, `${path}/${name}: entry says ${TYPES[type]}, inode says ${found.type}`);
      if (name === ".") need(nid === directory.nid, `${path}: . is not itself`);
      else if (name === "..") need(nid === parent.nid, `${path}: .. is not its parent`);
      else if (found.type !== "directory") paths.set(join(path, name), found);
      else {
        subdirectories++;
        walk(join(path, name), found, directory);
      }
    }
    need(directory.nlink === 2 + subdirectories, `${path}: nlink ${directory.nlink}`);
  }

  const root = inode(superblock.rootNid);
  walk("", root, root);
  need(inodes.size === superblock.inodes, `superblock counts ${superblock.inodes} inodes, tree has ${inodes.size}`);
  checkLinkCounts(paths);
  return { superblock, paths, lookup: (directory, name) => lookup(directory, name) };
}

function readInode(bytes: Buffer, at: number, nid: number): ReadInode {
  const format = bytes.readUInt16LE(at);
  need((format & 1) === 1 && (format & ~0b101) === 0, `nid ${nid}: format ${format}`);
  const inline = format >> 1 === 2;
  const units = bytes.readUInt16LE(at + 2);
  const xattrBytes = units === 0 ? 0 : 12 + (units - 1) * 4;
  const mode = bytes.readUInt16LE(at + 4);
  const type = MODES.get(mode >> 12) ?? "unknown";
  const size = Number(bytes.readBigUInt64LE(at + 8));
  const start = bytes.readUInt32LE(at + 16);
  const tail = size % BLOCK;
  const tailAt = at + 64 + xattrBytes;
  if (inline) {
    need(tail > 0, `nid ${nid}: inline without a tail`);
    need(Math.floor(tailAt / BLOCK) === Math.floor((tailAt + tail - 1) / BLOCK), `nid ${nid}: tail crosses a block`);
  }
  const isDevice = type === "character" || type === "block" || type === "fifo";
  const plain = isDevice ? 0 : inline ? size - tail : size;
  if (plain > 0) need(start > 0 && start * BLOCK + plain <= bytes.length, `nid ${nid}: blocks outside the image`);
  const content = Buffer.concat([
    bytes.subarray(start * BLOCK, start * BLOCK + plain),
    inline ? bytes.subarray(tailAt, tailAt + tail) : Buffer.alloc(0),
  ]);
  return {
    nid,
    type,
    mode: mode & 0o7777,
    uid: bytes.readUInt32LE(at + 24),
    gid: bytes.readUInt32LE(at + 28),
    seconds: bytes.readBigInt64LE(at + 32),
    nanoseconds: bytes.readUInt32LE(at + 40),
    nlink: bytes.readUInt32LE(at + 44),
    size,
    layout: inline ? "inline" : "plain",
    device: isDevice
      ? { major: (start >>> 8) & 0xfff, minor: (start & 0xff) | ((start >>> 12) & 0xfff00) }
      : { major: 0, minor: 0 },
    content,
    xattrs: xattrBytes === 0 ? {} : readXattrs(bytes.subarray(at + 64, at + 64 + xattrBytes), nid),
  };
}

function readXattrs(area: Buffer, nid: number): Record<string, string> {
  need(area.length > 12, `nid ${nid}: xattr header without an entry`);
  const found: [string, string][] = [];
  for (let at = 12; at < area.length; ) {
    const nameLength = area.readUInt8(at);
    const valueLength = area.readUInt16LE(at + 2);
    const prefix = XATTR_PREFIXES[area.readUInt8(at + 1)];
    need(prefix !== undefined, `nid ${nid}: unknown xattr prefix`);
    const value = area.subarray(at + 4 + nameLength, at + 4 + nameLength + valueLength);
    found.push([`${prefix}${area.toString("latin1", at + 4, at + 4 + nameLength)}`, value.toString("hex")]);
    at += Math.ceil((4 + nameLength + valueLength) / 4) * 4;
    need(at <= area.length, `nid ${nid}: xattr entry beyond its area`);
  }
  return Object.fromEntries(found.sort());
}

interface Dirent {
  name: string;
  nid: number;
  type: number;
}

function entriesOf(directory: ReadInode): Dirent[] {
  const entries: Dirent[] = [];
  for (let block = 0; block < directory.content.length; block += BLOCK) {
    entries.push(...blockEntries(directory.content.subarray(block, block + BLOCK)));
  }
  const names = entries.map((entry) => Buffer.from(entry.name, "latin1"));
  names.forEach((name, index) => {
    const before = names[index - 1];
    need(before === undefined || Buffer.compare(before, name) < 0, `nid ${directory.nid}: names out of order`);
  });
  return entries;
}

function blockEntries(block: Buffer): Dirent[] {
  const count = block.readUInt16LE(8) / 12;
  return Array.from({ length: count }, (_, index) => {
    const start = block.readUInt16LE(index * 12 + 8);
    const last = index === count - 1;
    const limit = last ? block.length : block.readUInt16LE((index + 1) * 12 + 8);
    const zero = block.indexOf(0, start);
    const end = last && zero !== -1 ? zero : limit;
    return {
      name: block.toString("latin1", start, end),
      nid: Number(block.readBigUInt64LE(index * 12)),
      type: block.readUInt8(index * 12 + 10),
    };
  });
}

/** Looks a name up as the kernel does: by halves over the blocks, then by halves within one. */
function lookup(directory: ReadInode, name: string): number | undefined {
  const wanted = Buffer.from(name, "latin1");
  const order = (entry: Dirent | undefined) => Buffer.compare(wanted, Buffer.from(entry?.name ?? "", "latin1"));
  const blocks = Math.ceil(directory.content.length / BLOCK);
  const block = (index: number) => blockEntries(directory.content.subarray(index * BLOCK, (index + 1) * BLOCK));
  let candidates = block(0);
  for (let low = 0, high = blocks - 1; low <= high; ) {
    const middle = (low + high) >> 1;
    const entries = block(middle);
    if (order(entries[0]) < 0) high = middle - 1;
    else {
      candidates = entries;
      low = middle + 1;
    }
  }
  return candidates.find((entry) => order(entry) === 0)?.nid;
}

function checkLinkCounts(paths: Map<string, ReadInode>): void {
  const names = new Map<ReadInode, number>();
  for (const inode of paths.values()) names.set(inode, (names.get(inode) ?? 0) + 1);
  for (const [path, inode] of paths) {
    if (inode.type === "directory") continue;
    need(inode.nlink === names.get(inode), `${path}: nlink ${inode.nlink}, but ${names.get(inode)} names`);
  }
}

function checksum(bytes: Buffer): number {
  const area = Buffer.from(bytes.subarray(1024, BLOCK));
  area.writeUInt32LE(0, 4);
  let value = 0xffffffff;
  for (const byte of area) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ ((value & 1) * 0x82f63b78);
  }
  return value >>> 0;
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}/${name}`;
}

function need(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Error(`erofs: ${message}`);
}
