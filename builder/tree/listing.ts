import { createHash } from "node:crypto";
import { type Entry, type EntryType, hostPath, type SourceEntry } from "../../images/entry.ts";
import { OPAQUE_XATTR } from "../../images/layer/markers.ts";
import { isVolatile } from "./volatile.ts";

/** An entry of a step's result; a file's has its SHA-256. */
export type ListedEntry = SourceEntry;

/** A directory that hides everything the trees below hold in its place. */
export function isOpaque(entry: Entry): boolean {
  return entry.type === "directory" && entry.xattrs.has(OPAQUE_XATTR);
}

/** Digest (hex) of a step's result: everything that a later step or a layer could see of it. */
export function listingId(entries: readonly ListedEntry[]): string {
  const hash = createHash("sha256");
  for (const entry of entries) {
    if (!isVolatile(entry.path)) hash.update(`${JSON.stringify(toRow(entry))}\n`);
  }
  return hash.digest("hex");
}

/** A listing as text: one JSON row per entry. */
export function encodeListing(entries: readonly ListedEntry[]): string {
  return entries.map((entry) => `${JSON.stringify(toRow(entry))}\n`).join("");
}

/** The listing of the tree whose files lie in `directory`. */
export function decodeListing(text: string, directory: string): ListedEntry[] {
  const rows = JSON.parse(`[${text.trimEnd().replaceAll("\n", ",")}]`) as Row[];
  return rows.map((row) => fromRow(row, directory));
}

type Row = [
  path: string,
  type: EntryType,
  mode: number,
  uid: number,
  gid: number,
  seconds: number,
  nanoseconds: number,
  size: number,
  link: string,
  major: number,
  minor: number,
  sha256: string,
  xattrs: [string, string][],
];

function toRow(entry: ListedEntry): Row {
  const { path, type, mode, uid, gid, mtime, size, link, device } = entry;
  const xattrs = [...entry.xattrs].map(([name, value]): [string, string] => [name, value.toString("base64")]);
  xattrs.sort(([a], [b]) => (a < b ? -1 : 1));
  const times = [mtime.seconds, mtime.nanoseconds] as const;
  return [path, type, mode, uid, gid, ...times, size, link, device.major, device.minor, entry.sha256 ?? "", xattrs];
}

function fromRow(row: Row, directory: string): ListedEntry {
  const [path, type, mode, uid, gid, seconds, nanoseconds, size, link, major, minor, sha256, xattrs] = row;
  return {
    path,
    type,
    mode,
    uid,
    gid,
    mtime: { seconds, nanoseconds },
    size,
    link,
    device: { major, minor },
    xattrs: new Map(xattrs.map(([name, value]) => [name, Buffer.from(value, "base64")])),
    ...(type === "file" ? { sha256, content: { file: hostPath(directory, path) } } : {}),
  };
}
