import type { Entry } from "../entry.ts";
import { checksumOf } from "./checksum.ts";
import { BLOCK_SIZE, FIELDS, MAGIC_POSIX, paddingOf, TYPE_FLAGS } from "./format.ts";
import { formatTime, octal } from "./numbers.ts";
import { encodePax, xattrKeyword } from "./pax.ts";

/** The two zero blocks that end an archive. */
export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK_SIZE);

const PAX_NAME = "PaxHeader";

/**
 * The header bytes of an entry: one ustar block, before it a PAX header for what does not fit (long names, large
 * numbers, times that are not whole seconds from 1970 on, extended attributes). One entry has one form.
 */
export function encodeHeader(entry: Entry): Buffer {
  const records = recordsOf(entry);
  const header = encodeBlock({
    name: tarName(entry),
    link: entry.link,
    type: TYPE_FLAGS[entry.type],
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    size: entry.size,
    mtime: entry.mtime.seconds,
    device: entry.device,
  });
  return records.size === 0 ? header : Buffer.concat([...paxBlocks(encodePax(records)), header]);
}

/** The zeros behind the content of a file of this size. */
export function padding(size: number): Buffer {
  return END_OF_ARCHIVE.subarray(0, paddingOf(size));
}

interface Block {
  name: string;
  link: string;
  type: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: number;
  device: { major: number; minor: number };
}

function recordsOf(entry: Entry): Map<string, string> {
  const records = new Map<string, string>();
  const name = tarName(entry);
  if (name.length > FIELDS.name[1]) records.set("path", name);
  if (entry.link.length > FIELDS.link[1]) records.set("linkpath", entry.link);
  for (const key of ["uid", "gid", "size"] as const) {
    if (octal(entry[key], FIELDS[key][1]) === undefined) records.set(key, String(entry[key]));
  }
  const { seconds, nanoseconds } = entry.mtime;
  if (nanoseconds !== 0 || octal(seconds, FIELDS.mtime[1]) === undefined) records.set("mtime", formatTime(entry.mtime));
  for (const [key, value] of entry.xattrs) records.set(xattrKeyword(key), value.toString("latin1"));
  return records;
}

function tarName(entry: Entry): string {
  if (entry.path === "") return "./";
  return entry.type === "directory" ? `${entry.path}/` : entry.path;
}

function paxBlocks(body: Buffer): Buffer[] {
  const device = { major: 0, minor: 0 };
  const block = { name: PAX_NAME, link: "", type: "x", mode: 0o644, uid: 0, gid: 0, mtime: 0, device };
  return [encodeBlock({ ...block, size: body.length }), body, padding(body.length)];
}

function encodeBlock(fields: Block): Buffer {
  const block = Buffer.alloc(BLOCK_SIZE);
  write(block, FIELDS.name, fields.name);
  write(block, FIELDS.mode, number(fields.mode, FIELDS.mode));
  write(block, FIELDS.uid, number(fields.uid, FIELDS.uid));
  write(block, FIELDS.gid, number(fields.gid, FIELDS.gid));
  write(block, FIELDS.size, number(fields.size, FIELDS.size));
  write(block, FIELDS.mtime, number(fields.mtime, FIELDS.mtime));
  write(block, FIELDS.type, fields.type);
  write(block, FIELDS.link, fields.link);
  write(block, FIELDS.magic, MAGIC_POSIX);
  write(block, FIELDS.version, "00");
  write(block, FIELDS.major, number(fields.device.major, FIELDS.major));
  write(block, FIELDS.minor, number(fields.device.minor, FIELDS.minor));
  write(block, FIELDS.checksum, `${checksumOf(block).toString(8).padStart(6, "0")}\0 `);
  return block;
}

type Field = readonly [offset: number, length: number];

function write(block: Buffer, [offset, length]: Field, text: string): void {
  block.write(text, offset, length, "latin1");
}

/** A number that has a PAX record stands as 0 in its field. */
function number(value: number, [, length]: Field): string {
  return octal(value, length) ?? octal(0, length) ?? "";
}
