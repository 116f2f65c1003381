import { createHash } from "node:crypto";
import type { ListedEntry } from "../../../builder/tree/listing.ts";
import type { EntryType } from "../../../images/entry.ts";

/** Entries for tests: `d:etc`, `f:etc/passwd=text`, `l:bin>usr/bin`, `h:b>a`, `w:gone`, `o:opaque`. */
export function entries(...notes: string[]): ListedEntry[] {
  return notes.map((note) => {
    const [, kind = "", path = "", , value = ""] = /^(\w):([^=>]*)([=>](.*))?$/s.exec(note) ?? [];
    return entry(kind, path, value);
  });
}

const TYPES: Record<string, EntryType> = {
  d: "directory",
  o: "directory",
  f: "file",
  l: "symlink",
  h: "hardlink",
  w: "character",
};

function entry(kind: string, path: string, value: string): ListedEntry {
  const bytes = Buffer.from(value, "latin1");
  return {
    path,
    type: TYPES[kind] ?? "file",
    mode: kind === "d" || kind === "o" ? 0o755 : kind === "w" ? 0 : 0o644,
    uid: 0,
    gid: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    size: kind === "f" ? bytes.length : 0,
    link: kind === "l" || kind === "h" ? value : "",
    device: { major: 0, minor: 0 },
    xattrs: new Map(kind === "o" ? [["trusted.overlay.opaque", Buffer.from("y")]] : []),
    ...(kind === "f" ? { sha256: createHash("sha256").update(bytes).digest("hex"), content: { bytes } } : {}),
  };
}

/** The reverse, for comparing. */
export function notes(list: readonly ListedEntry[]): string[] {
  return list.map((item) => {
    if (item.type === "character") return `w:${item.path}`;
    if (item.type === "directory") return `${item.xattrs.size > 0 ? "o" : "d"}:${item.path}`;
    if (item.type === "symlink") return `l:${item.path}>${item.link}`;
    if (item.type === "hardlink") return `h:${item.path}>${item.link}`;
    return `f:${item.path}=${item.content !== undefined && "bytes" in item.content ? item.content.bytes.toString("latin1") : ""}`;
  });
}
