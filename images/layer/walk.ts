import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from "node:fs";
import { type EntryTime, type EntryType, hostPath, type SourceEntry } from "../entry.ts";
import { layerError } from "./error.ts";
import { isWhiteout, OPAQUE_VALUE, OPAQUE_XATTR, OVERLAY_PREFIX } from "./markers.ts";
import { readXattrs, type TreeXattrs } from "./xattrs.ts";

/**
 * All entries of a directory in overlay form (an upper directory as overlayfs leaves it), the root first, each
 * directory before what is in it, whiteouts before their siblings, then by the bytes of the names: one tree has one
 * order. Names of one inode are hard links to the first. Sockets are left out: they mean nothing without the process
 * that made them. Refuses an upper directory whose files live on in the layers below (metacopy, redirect).
 */
export async function walkDirectory(directory: string): Promise<SourceEntry[]> {
  const walk: Walk = { directory, xattrs: await readXattrs(directory), links: new Map(), entries: [] };
  const root = find(walk, "");
  if (root !== undefined) visit(walk, root);
  return walk.entries;
}

interface Walk {
  directory: string;
  xattrs: TreeXattrs;
  /** First path of an inode that has several. */
  links: Map<string, string>;
  entries: SourceEntry[];
}

interface Found {
  entry: SourceEntry;
  stats: BigIntStats;
}

function visit(walk: Walk, found: Found): void {
  walk.entries.push(linked(walk, found));
  const { path, type } = found.entry;
  if (type !== "directory") return;
  const prefix = path === "" ? "" : `${path}/`;
  const names = readdirSync(hostPath(walk.directory, path), { encoding: "latin1" }).sort();
  const children = names.map((name) => find(walk, prefix + name)).filter((child) => child !== undefined);
  for (const child of children) if (isWhiteout(child.entry)) visit(walk, child);
  for (const child of children) if (!isWhiteout(child.entry)) visit(walk, child);
}

function find(walk: Walk, path: string): Found | undefined {
  const host = hostPath(walk.directory, path);
  const stats = lstatSync(host, { bigint: true });
  const type = typeOf(stats);
  if (type === undefined) return undefined;
  const entry: SourceEntry = {
    path,
    type,
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: timeOf(stats.mtimeNs),
    size: type === "file" ? Number(stats.size) : 0,
    link: type === "symlink" ? readlinkSync(host, { encoding: "latin1" }) : "",
    device: type === "character" || type === "block" ? deviceOf(stats.rdev) : { major: 0, minor: 0 },
    xattrs: xattrsOf(walk, path),
  };
  if (type === "file") entry.content = { file: host };
  return { entry, stats };
}

/** The entry itself for an inode's first name, a hardlink for the others. Overlayfs shares one inode of whiteouts. */
function linked(walk: Walk, { entry, stats }: Found): SourceEntry {
  if (stats.nlink === 1n || entry.type === "directory" || isWhiteout(entry)) return entry;
  const inode = `${stats.dev}:${stats.ino}`;
  const first = walk.links.get(inode);
  if (first === undefined) {
    walk.links.set(inode, entry.path);
    return entry;
  }
  const { content: _, ...rest } = entry;
  return { ...rest, type: "hardlink", link: first, size: 0, device: { major: 0, minor: 0 }, xattrs: new Map() };
}

function typeOf(stats: BigIntStats): EntryType | undefined {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "directory";
  if (stats.isSymbolicLink()) return "symlink";
  if (stats.isCharacterDevice()) return "character";
  if (stats.isBlockDevice()) return "block";
  return stats.isFIFO() ? "fifo" : undefined;
}

function timeOf(nanoseconds: bigint): EntryTime {
  const part = ((nanoseconds % NANOSECONDS) + NANOSECONDS) % NANOSECONDS;
  return { seconds: Number((nanoseconds - part) / NANOSECONDS), nanoseconds: Number(part) };
}

const NANOSECONDS = 1_000_000_000n;

/** The two numbers of a device as Linux packs them into st_rdev. */
function deviceOf(rdev: bigint): { major: number; minor: number } {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}

const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

/** Overlayfs's notes about where a file came from: true of the machine, not of the tree. */
const OVERLAY_NOTES = new Set(["origin", "impure", "nlink", "upper", "uuid"].map((name) => OVERLAY_PREFIX + name));

function xattrsOf(walk: Walk, path: string): ReadonlyMap<string, Buffer> {
  const found = walk.xattrs.get(path);
  if (found === undefined) return NO_XATTRS;
  const kept = [...found].filter(([name]) => !OVERLAY_NOTES.has(name));
  for (const [name, value] of kept) {
    if (!name.startsWith(OVERLAY_PREFIX)) continue;
    if (name === OPAQUE_XATTR && value.toString("latin1") === OPAQUE_VALUE) continue;
    const options = "redirect_dir=off,metacopy=off,index=off";
    throw layerError("layer-attribute", path, `expected an overlay mounted with ${options}, got ${name}`);
  }
  return new Map(kept);
}
