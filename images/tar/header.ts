import type { Entry, EntryTime, EntryType } from "../entry.ts";
import { checksumOf } from "./checksum.ts";
import { entryError, TarError } from "./error.ts";
import { FIELDS, MAGIC_POSIX, TAR_LIMITS, TYPE_FLAGS, XATTR_KEYWORD } from "./format.ts";
import { parseDecimal, parseTime, readNumber } from "./numbers.ts";
import { checkLink, normalPath } from "./path.ts";
import { parsePax, xattrName } from "./pax.ts";

/** A header block means an entry, or bytes that describe the next one. */
export type Header = { kind: "entry"; entry: Entry } | { kind: "extended"; size: number };

type Extended = "pax" | "global" | "name" | "link";

const EXTENDED_FLAGS: Readonly<Record<string, Extended>> = { x: "pax", g: "global", L: "name", K: "link" };

const ENTRY_FLAGS: ReadonlyMap<string, EntryType> = new Map([
  ["\0", "file"],
  ["7", "file"],
  ...Object.entries(TYPE_FLAGS).map(([type, flag]) => [flag, type as EntryType] as const),
]);

/** Types of archives that ostler does not read, for the message. */
const REFUSED_FLAGS: Readonly<Record<string, string>> = {
  S: "a GNU sparse file",
  M: "a continued volume",
  V: "a volume label",
  D: "a GNU directory dump",
  A: "a Solaris ACL",
  X: "a Solaris extended header",
};

const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();
const NO_RECORDS: ReadonlyMap<string, string> = new Map();
const NO_DEVICE = { major: 0, minor: 0 };

/** Turns header blocks into entries; holds what extended headers said about the entry to come. */
export function createHeaderReader() {
  let records = NO_RECORDS;
  let longName: string | undefined;
  let longLink: string | undefined;
  let expected: Extended = "pax";

  return {
    /** Reads the block at byte `offset` of the archive. Its bytes are not kept. */
    read(block: Buffer, offset: number): Header {
      checkChecksum(block, offset);
      const flag = text(block, FIELDS.type) || "\0";
      const extension = EXTENDED_FLAGS[flag];
      if (extension !== undefined) {
        expected = extension;
        return { kind: "extended", size: extendedSize(block, offset) };
      }
      const entry = readEntry(block, flag, { records, longName, longLink });
      [records, longName, longLink] = [NO_RECORDS, undefined, undefined];
      return { kind: "entry", entry };
    },

    /** Takes the bytes of the extended header that `read` announced. */
    extend(bytes: Buffer): void {
      if (expected === "name") longName = untilNul(bytes);
      else if (expected === "link") longLink = untilNul(bytes);
      else if (expected === "pax") records = parsePax(bytes);
      else if (parsePax(bytes).size > 0) {
        throw new TarError("tar-unsupported", "tar: expected a global header that sets nothing, got one that does");
      }
    },

    expectNothingPending(offset: number): void {
      if (records === NO_RECORDS && longName === undefined && longLink === undefined) return;
      throw new TarError("tar-damaged", `tar at byte ${offset}: expected the entry of an extended header, got the end`);
    },
  };
}

interface Extension {
  records: ReadonlyMap<string, string>;
  longName: string | undefined;
  longLink: string | undefined;
}

function readEntry(block: Buffer, flag: string, extension: Extension): Entry {
  const { records } = extension;
  const raw = records.get("path") || (extension.longName ?? headerName(block));
  const type = typeOf(flag, raw);
  const path = normalPath(raw);
  if (path === "" && type !== "directory") throw entryError("tar-path", raw, "expected a name");
  const size = numberOf(block, records, "size", path, Number.MAX_SAFE_INTEGER);
  if (size > 0 && type !== "file") {
    throw entryError("tar-unsupported", path, `expected no content in a ${type}, got ${size} bytes`);
  }
  return {
    path,
    type,
    mode: modeOf(block, path),
    uid: numberOf(block, records, "uid", path, TAR_LIMITS.id),
    gid: numberOf(block, records, "gid", path, TAR_LIMITS.id),
    mtime: mtimeOf(block, records, path),
    size,
    link: linkOf(block, extension, type, path),
    device: type === "character" || type === "block" ? deviceOf(block, type, path) : NO_DEVICE,
    xattrs: type === "hardlink" ? NO_XATTRS : xattrsOf(records, path),
  };
}

function typeOf(flag: string, rawPath: string): EntryType {
  const type = ENTRY_FLAGS.get(flag);
  if (type === undefined) {
    const shown = REFUSED_FLAGS[flag] ?? `type ${JSON.stringify(flag)}`;
    throw entryError("tar-unsupported", rawPath, `expected a file, directory, link, device or fifo, got ${shown}`);
  }
  // Before ustar a directory was a file whose name ends with a slash.
  return type === "file" && rawPath.endsWith("/") ? "directory" : type;
}

function linkOf(block: Buffer, { records, longLink }: Extension, type: EntryType, path: string): string {
  if (type !== "symlink" && type !== "hardlink") return "";
  const raw = records.get("linkpath") || (longLink ?? text(block, FIELDS.link));
  return type === "hardlink" ? normalPath(raw) : checkLink(raw, path);
}

function headerName(block: Buffer): string {
  const name = text(block, FIELDS.name);
  if (block.toString("latin1", FIELDS.magic[0], FIELDS.version[0]) !== MAGIC_POSIX) return name;
  const prefix = text(block, FIELDS.prefix);
  return prefix === "" ? name : `${prefix}/${name}`;
}

function modeOf(block: Buffer, path: string): number {
  const mode = readNumber(block, ...FIELDS.mode);
  if (mode === undefined || mode < 0 || mode > 0o177777)
    throw entryError("tar-damaged", path, "expected an octal mode");
  return mode & 0o7777;
}

type NumberKey = "size" | "uid" | "gid";

function numberOf(block: Buffer, records: Extension["records"], key: NumberKey, path: string, limit: number): number {
  const record = records.get(key);
  const value = record ? parseDecimal(record) : readNumber(block, FIELDS[key][0], FIELDS[key][1]);
  if (value === undefined || value < 0 || value > limit) {
    throw entryError(
      "tar-damaged",
      path,
      `expected a ${key} of 0 to ${limit}, got ${record ?? value ?? "other bytes"}`,
    );
  }
  return value;
}

function mtimeOf(block: Buffer, records: Extension["records"], path: string): EntryTime {
  const record = records.get("mtime");
  if (record) {
    const time = parseTime(record);
    if (time === undefined) throw entryError("tar-damaged", path, `expected an mtime in seconds, got ${record}`);
    return time;
  }
  const seconds = readNumber(block, ...FIELDS.mtime);
  if (seconds === undefined) throw entryError("tar-damaged", path, "expected an mtime in seconds");
  return { seconds, nanoseconds: 0 };
}

function deviceOf(block: Buffer, type: EntryType, path: string): { major: number; minor: number } {
  const major = readNumber(block, ...FIELDS.major) ?? -1;
  const minor = readNumber(block, ...FIELDS.minor) ?? -1;
  if (major < 0 || minor < 0 || major > TAR_LIMITS.deviceMajor || minor > TAR_LIMITS.deviceMinor) {
    throw entryError("tar-damaged", path, `expected a device number, got ${major}:${minor}`);
  }
  if (type === "character" && major === 0 && minor === 0) {
    const message = "expected a device, got 0:0, which is overlayfs's own: a layer says it with a .wh. name";
    throw entryError("tar-attribute", path, message);
  }
  return { major, minor };
}

function xattrsOf(records: Extension["records"], path: string): ReadonlyMap<string, Buffer> {
  if (records.size === 0) return NO_XATTRS;
  const xattrs = new Map<string, Buffer>();
  for (const [key, value] of records) {
    if (!key.startsWith(XATTR_KEYWORD)) continue;
    if (value.length > TAR_LIMITS.xattrValueBytes) {
      const limit = TAR_LIMITS.xattrValueBytes;
      throw entryError("tar-limit", path, `${key}: expected at most ${limit} bytes, got ${value.length}`);
    }
    xattrs.set(xattrName(key), Buffer.from(value, "latin1"));
  }
  return xattrs.size === 0 ? NO_XATTRS : xattrs;
}

function extendedSize(block: Buffer, offset: number): number {
  const size = readNumber(block, ...FIELDS.size);
  if (size !== undefined && size >= 0 && size <= TAR_LIMITS.extendedHeaderBytes) return size;
  const limit = TAR_LIMITS.extendedHeaderBytes;
  throw new TarError("tar-limit", `tar at byte ${offset}: expected an extended header of at most ${limit} bytes`);
}

function checkChecksum(block: Buffer, offset: number): void {
  const stored = readNumber(block, ...FIELDS.checksum);
  if (stored === checksumOf(block) || stored === checksumOf(block, "signed")) return;
  throw new TarError("tar-damaged", `tar at byte ${offset}: expected a header with a right checksum`);
}

function text(block: Buffer, [offset, length]: readonly [number, number]): string {
  const end = block.indexOf(0, offset);
  return block.toString("latin1", offset, end < 0 || end > offset + length ? offset + length : end);
}

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("latin1", 0, end < 0 ? bytes.length : end);
}
