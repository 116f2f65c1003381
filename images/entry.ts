/** What an entry of a layer is. Sockets have no form in a layer. */
export type EntryType = "file" | "directory" | "symlink" | "hardlink" | "character" | "block" | "fifo";

/** A time exact to the nanosecond; `nanoseconds` is 0..999,999,999 and counts forward, before 1970 too. */
export interface EntryTime {
  seconds: number;
  nanoseconds: number;
}

/**
 * One entry of a layer. Paths and links are binary strings: latin1 strings that hold the raw bytes of the name,
 * without a leading `/` or `./` and without a trailing `/`; the layer's root is the empty string.
 */
export interface Entry {
  path: string;
  type: EntryType;
  /** Permission bits with setuid, setgid and sticky: 0..0o7777. */
  mode: number;
  uid: number;
  gid: number;
  mtime: EntryTime;
  /** Bytes of content of a file; 0 for every other type. */
  size: number;
  /** Target of a symlink, or path of the earlier entry that a hardlink names; else empty. */
  link: string;
  /** Numbers of a character or block device; else 0:0. */
  device: { major: number; minor: number };
  /** Extended attributes with their whole names. A hardlink has none of its own. */
  xattrs: ReadonlyMap<string, Buffer>;
}

/** An entry and where the content of a file comes from: a path on this machine, or bytes. */
export interface SourceEntry extends Entry {
  content?: { file: string | Buffer } | { bytes: Buffer };
  /** SHA-256 (hex) of a file's content, where it is known: a layer holds no other. */
  sha256?: string;
}

/** An entry of root's from 1970 that is empty and has no attributes; a character device of it is overlayfs's whiteout. */
export function plainEntry(path: string, type: EntryType, mode: number): Entry {
  const epoch = { seconds: 0, nanoseconds: 0 };
  const nothing = { size: 0, link: "", device: { major: 0, minor: 0 }, xattrs: new Map<string, Buffer>() };
  return { path, type, mode, uid: 0, gid: 0, mtime: epoch, ...nothing };
}

/** What takes the entries of a layer in order: each entry, then the content of the last one if it is a file. */
export interface TarVisitor {
  entry(entry: Entry): void;
  /** A piece of the last entry's content. It is never written to again, so it may be kept. */
  data(chunk: Buffer): void;
}

/** A binary string as a path for the file system calls, which would take a string for UTF-8. */
export function hostPath(directory: string, path: string): string | Buffer {
  const plain = path === "" ? directory : `${directory}/${path}`;
  if (/^[\x20-\x7e]*$/.test(path)) return plain;
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, "latin1")]);
}

/** The path as people can read it: UTF-8 where it is UTF-8, every other byte escaped. */
export function showPath(path: string): string {
  return path === "" ? "." : JSON.stringify(Buffer.from(path, "latin1").toString()).slice(1, -1);
}

/** The path of the directory that holds the entry; the root holds itself. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
