import * as fc from "fast-check";
import { type Entry, plainEntry, type SourceEntry } from "../../../images/entry.ts";
import { createTarReader } from "../../../images/tar/read.ts";
import { END_OF_ARCHIVE, encodeHeader, padding } from "../../../images/tar/write.ts";

/** A file of root's in the layer's root; a test changes what it is about. */
export function entryOf(change: Partial<SourceEntry> = {}): SourceEntry {
  return { ...plainEntry("file", "file", 0o644), ...change };
}

export interface Content {
  entry: Entry;
  data: Buffer;
}

/** The archive of entries and their contents. */
export function tarOf(contents: readonly Content[]): Buffer {
  const blocks = contents.flatMap(({ entry, data }) => [encodeHeader(entry), data, padding(entry.size)]);
  return Buffer.concat([...blocks, END_OF_ARCHIVE]);
}

/** What a reader makes of an archive that comes in pieces of `pieceSize` bytes. */
export function readTar(archive: Buffer, pieceSize = archive.length): Content[] {
  const contents: Content[] = [];
  const reader = createTarReader({
    entry: (entry) => contents.push({ entry, data: Buffer.alloc(0) }),
    data: (chunk) => {
      const last = contents.at(-1);
      if (last === undefined) throw new Error("expected an entry before its content");
      last.data = Buffer.concat([last.data, chunk]);
    },
  });
  for (let start = 0; start < archive.length; start += pieceSize) {
    reader.push(archive.subarray(start, start + pieceSize));
  }
  reader.finish();
  return contents;
}

/** Any bytes but NUL and slash, as the file system takes them for a name. */
const name = fc
  .uint8Array({ minLength: 1, maxLength: 255 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x78 : byte))).toString("latin1"))
  .filter((text) => text !== "." && text !== "..");

const path = fc.array(name, { minLength: 1, maxLength: 6 }).map((names) => names.join("/"));

const target = fc
  .uint8Array({ minLength: 1, maxLength: 300 })
  .map((bytes) => Buffer.from(bytes.map((byte) => byte || 0x78)).toString("latin1"));

const xattrName = fc
  .tuple(fc.constantFrom("user.", "trusted.", "security."), fc.string({ minLength: 1, maxLength: 30 }))
  .map(([prefix, rest]) => prefix + Buffer.from(rest.replaceAll("\0", "x")).toString("latin1"))
  .filter((text) => !text.startsWith("trusted.overlay."));

const xattrs = fc
  .dictionary(xattrName, fc.uint8Array({ maxLength: 200 }), { maxKeys: 4 })
  .map((values) => new Map(Object.entries(values).map(([key, value]) => [key, Buffer.from(value)])));

const common = {
  path,
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.oneof(fc.nat(70_000), fc.integer({ min: 2_000_000, max: 0xffff_fffe })),
  gid: fc.oneof(fc.nat(70_000), fc.integer({ min: 2_000_000, max: 0xffff_fffe })),
  mtime: fc.record({
    seconds: fc.oneof(fc.integer({ min: 0, max: 4e9 }), fc.integer({ min: -(2 ** 40), max: 2 ** 40 })),
    nanoseconds: fc.oneof(fc.constant(0), fc.nat(999_999_999)),
  }),
};

const device = fc
  .record({ major: fc.nat(0xfff), minor: fc.nat(0xf_ffff) })
  .filter(({ major, minor }) => major !== 0 || minor !== 0);

const plain = fc.record({ ...common, type: fc.constantFrom("directory", "fifo"), xattrs });
const symlink = fc.record({ ...common, type: fc.constant("symlink"), link: target, xattrs });
const hardlink = fc.record({ ...common, type: fc.constant("hardlink"), link: path });
const node = fc.record({ ...common, type: fc.constantFrom("character", "block"), device, xattrs });
const special = fc
  .oneof(plain, symlink, hardlink, node)
  .map((change) => ({ entry: entryOf(change as Partial<Entry>), data: Buffer.alloc(0) }));
const file = fc
  .tuple(fc.record({ ...common, xattrs }), fc.uint8Array({ maxLength: 2000 }))
  .map(([change, data]) => ({ entry: entryOf({ ...change, size: data.length }), data: Buffer.from(data) }));

/** Entries of every type with their contents, each alone: they need not fit each other. */
export const contents = fc.array(fc.oneof(file, special), { maxLength: 8 });

/** The headers of an archive in overlay form, which our own reader refuses: type flag, name, whether it is opaque. */
export function readTarLoosely(archive: Buffer): string[] {
  const found: string[] = [];
  let opaque = "";
  for (let position = 0; archive[position] !== 0 && position < archive.length; ) {
    const field = (start: number, length: number) =>
      archive.toString("latin1", position + start, position + start + length).replace(/\0.*$/s, "");
    const size = Number.parseInt(field(124, 12), 8);
    if (field(156, 1) !== "x") found.push(`${field(156, 1)} ${field(0, 100)}${opaque}`);
    const body = archive.toString("latin1", position + 512, position + 512 + size);
    opaque = field(156, 1) === "x" && body.includes("SCHILY.xattr.trusted.overlay.opaque=y\n") ? " opaque" : "";
    position += 512 + size + padding(size).length;
  }
  return found;
}
