import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checksumOf } from "../../../../images/tar/checksum.ts";
import { TarError, type TarErrorCode } from "../../../../images/tar/error.ts";
import { createTarReader } from "../../../../images/tar/read.ts";
import { END_OF_ARCHIVE, encodeHeader, padding } from "../../../../images/tar/write.ts";
import { contents, entryOf, readTar, tarOf } from "../entries.ts";

function errorOf(act: () => unknown): TarError {
  try {
    act();
  } catch (error) {
    if (error instanceof TarError) return error;
    throw error;
  }
  throw new Error("expected a TarError, got none");
}

function codeOf(act: () => unknown): TarErrorCode {
  return errorOf(act).code;
}

/** A header block with a few bytes changed and its checksum made right again. */
function headerWith(changes: Record<number, string>, entry = entryOf()): Buffer {
  const block = encodeHeader(entry);
  for (const [offset, text] of Object.entries(changes)) block.write(text, Number(offset), "latin1");
  block.write(`${checksumOf(block).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

function archiveWith(changes: Record<number, string>, entry = entryOf()): Buffer {
  return Buffer.concat([headerWith(changes, entry), END_OF_ARCHIVE]);
}

function extended(flag: string, body: string | Buffer): Buffer {
  const bytes = Buffer.from(body as string, "latin1");
  const header = headerWith({ 156: flag }, entryOf({ path: "extended", size: bytes.length }));
  return Buffer.concat([header, bytes, padding(bytes.length)]);
}

function withRecords(...records: [string, string][]): Buffer {
  const lines = records.map(([keyword, value]) => {
    const rest = keyword.length + value.length + 3;
    return `${rest + String(rest + String(rest).length).length} ${keyword}=${value}\n`;
  });
  return Buffer.concat([extended("x", lines.join("")), encodeHeader(entryOf()), END_OF_ARCHIVE]);
}

function entryFrom(archive: Buffer) {
  const [first] = readTar(archive);
  if (first === undefined) throw new Error("expected an entry");
  return first.entry;
}

test("createTarReader keeps nothing of a chunk: one that is overwritten once it was taken changes no entry", () => {
  const path = "long/".repeat(60);
  const archive = tarOf([
    { entry: entryOf({ path: `${path}name`, type: "symlink", link: path }), data: Buffer.alloc(0) },
  ]);
  for (const size of [1, 7, 512, 700]) {
    const found: string[] = [];
    const reader = createTarReader({ entry: ({ path: name, link }) => found.push(name, link), data: () => {} });
    const chunk = Buffer.alloc(size);
    for (let at = 0; at < archive.length; at += size) {
      reader.push(chunk.subarray(0, archive.copy(chunk, 0, at, Math.min(archive.length, at + size))));
      chunk.fill(0xff);
    }
    reader.finish();
    expect(found).toEqual([`${path}name`, path]);
  }
});

describe("createTarReader", () => {
  test("reads what the writer wrote, however the bytes are cut", () => {
    fc.assert(
      fc.property(contents, fc.integer({ min: 1, max: 3000 }), (written, pieceSize) => {
        expect(readTar(tarOf(written), pieceSize)).toEqual(written);
      }),
      { numRuns: 60 },
    );
  });

  test("throws nothing but its own error on random bytes, and always ends", () => {
    const bytes = fc.uint8Array({ maxLength: 4096 }).map((array) => Buffer.from(array));
    const look = (archive: Buffer) => {
      try {
        readTar(archive, 700);
      } catch (error) {
        expect(error).toBeInstanceOf(TarError);
      }
    };
    fc.assert(fc.property(bytes, look), { numRuns: 200 });
  });

  test("throws nothing but its own error on an archive with bytes changed and the checksum made right", () => {
    const change = fc.tuple(fc.nat(511), fc.nat(255));
    const archive = fc.tuple(contents, fc.array(change, { minLength: 1, maxLength: 6 }), fc.nat(10));
    fc.assert(
      fc.property(archive, ([written, changes, at]) => {
        const bytes = tarOf(written);
        const start = Math.min(at * 512, bytes.length - 512);
        const block = bytes.subarray(start, start + 512);
        for (const [offset, byte] of changes) block[offset] = byte;
        block.write(`${checksumOf(block).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
        try {
          readTar(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(TarError);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("keeps the bytes of a capability and of a name that is no UTF-8", () => {
    const capability = Buffer.from("0100000280000000000000000000000000000000", "hex");
    const path = Buffer.from([0x66, 0xff, 0x80, 0x0a]).toString("latin1");
    const entry = entryOf({ path, xattrs: new Map([["security.capability", capability]]) });
    expect(entryFrom(tarOf([{ entry, data: Buffer.alloc(0) }]))).toEqual(entry);
  });

  test.each([
    ["./a//b/./c/", "a/b/c"],
    ["a", "a"],
  ])("reads the path %s as %s", (raw, path) => {
    expect(entryFrom(archiveWith({ 0: raw }, entryOf({ path: "x", type: "directory" }))).path).toBe(path);
  });

  test("reads GNU long names and long links", () => {
    const path = "n".repeat(200);
    const link = "l".repeat(300);
    const archive = Buffer.concat([
      extended("L", `${path}\0`),
      extended("K", `${link}\0`),
      encodeHeader(entryOf({ type: "symlink", link: "short" })),
      END_OF_ARCHIVE,
    ]);
    expect(entryFrom(archive)).toEqual(entryOf({ path, type: "symlink", link }));
  });

  test("takes an old file whose name ends with a slash for a directory", () => {
    expect(entryFrom(archiveWith({ 0: "old/", 156: "\0" })).type).toBe("directory");
  });

  test("joins the ustar prefix and the name, and takes GNU's other use of that field for none", () => {
    expect(entryFrom(archiveWith({ 345: "some/where" })).path).toBe("some/where/file");
    expect(entryFrom(archiveWith({ 257: "ustar  \0", 345: "some/where" })).path).toBe("file");
  });

  test("reads base-256 numbers, negative ones too", () => {
    const negative = Buffer.alloc(12, 0xff);
    negative.writeInt32BE(-2, 8);
    expect(entryFrom(archiveWith({ 136: negative.toString("latin1") })).mtime).toEqual({ seconds: -2, nanoseconds: 0 });
    const uid = Buffer.from([0x80, 0, 0, 0, 0, 0x2d, 0xc6, 0xc0]).toString("latin1");
    expect(entryFrom(archiveWith({ 108: uid })).uid).toBe(3_000_000);
  });

  test("announces the size of a file of more than 8 GiB", () => {
    const size = 9 * 1024 ** 3;
    const archive = encodeHeader(entryOf({ size }));
    expect(() => readTar(archive)).toThrow("expected zero blocks at its end");
    expect(readSizes(archive)).toEqual([size]);
  });

  test.each<[string, Buffer, TarErrorCode]>([
    ["a path with ..", archiveWith({ 0: "a/../b" }), "tar-path"],
    ["an absolute path", archiveWith({ 0: "/etc/passwd" }), "tar-path"],
    ["a file without a name", archiveWith({ 0: "./\0\0" }, entryOf({ type: "fifo" })), "tar-path"],
    ["a hard link to ..", archiveWith({ 157: "../x", 156: "1" }), "tar-path"],
    ["a symlink to nothing", archiveWith({ 156: "2" }), "tar-path"],
    ["a name of 256 bytes", withRecords(["path", "n".repeat(256)]), "tar-path"],
    ["a path with a NUL", withRecords(["path", "a\0b"]), "tar-path"],
    ["a GNU sparse file", archiveWith({ 156: "S" }), "tar-unsupported"],
    ["a PAX sparse file", withRecords(["GNU.sparse.major", "1"]), "tar-unsupported"],
    ["an ACL as text", withRecords(["SCHILY.acl.access", "user::rw-"]), "tar-unsupported"],
    ["a libarchive attribute", withRecords(["LIBARCHIVE.xattr.user.a", "YQ=="]), "tar-unsupported"],
    [
      "a global header that sets something",
      Buffer.concat([extended("g", "9 uid=1\n".replace("9", "8"))]),
      "tar-unsupported",
    ],
    ["an attribute of no known namespace", withRecords(["SCHILY.xattr.os2.x", "1"]), "tar-attribute"],
    ["an attribute of overlayfs", withRecords(["SCHILY.xattr.trusted.overlay.redirect", "/x"]), "tar-attribute"],
    ["overlayfs's whiteout", archiveWith({ 156: "3" }), "tar-attribute"],
    ["a directory with content", archiveWith({ 0: "d/\0\0", 124: "00000000001" }), "tar-unsupported"],
    ["a wrong checksum", Buffer.alloc(512, 0x41), "tar-damaged"],
    ["a size that is no number", archiveWith({ 124: "99999999999" }), "tar-damaged"],
    ["a negative size", archiveWith({ 124: "\xff".repeat(12) }), "tar-damaged"],
    ["an owner that chown cannot set", withRecords(["uid", "4294967295"]), "tar-damaged"],
    ["a time that is no time", withRecords(["mtime", "yesterday"]), "tar-damaged"],
    ["a PAX record cut short", Buffer.concat([extended("x", "99 path=x\n"), END_OF_ARCHIVE]), "tar-damaged"],
    ["a PAX header of nothing", Buffer.concat([extended("x", "8 uid=1\n"), END_OF_ARCHIVE]), "tar-damaged"],
    ["one zero block before an entry", Buffer.concat([Buffer.alloc(512), encodeHeader(entryOf())]), "tar-damaged"],
    ["bytes behind the end", Buffer.concat([END_OF_ARCHIVE, Buffer.from("more")]), "tar-damaged"],
    ["an end within a header", encodeHeader(entryOf()).subarray(0, 300), "tar-truncated"],
    ["an end without zero blocks", encodeHeader(entryOf()), "tar-truncated"],
    ["no bytes at all", Buffer.alloc(0), "tar-truncated"],
    ["an attribute of more than 64 KiB", withRecords(["SCHILY.xattr.user.a", "x".repeat(65_537)]), "tar-limit"],
    ["a PAX header of more than 1 MiB", archiveWith({ 156: "x", 124: "00004000001" }), "tar-limit"],
  ])("refuses %s", (_, archive, code) => {
    expect(codeOf(() => readTar(archive))).toBe(code);
  });

  test("refuses more entries than a layer may have", () => {
    const reader = createTarReader({ entry: () => {}, data: () => {} }, 2);
    const block = encodeHeader(entryOf());
    reader.push(block);
    reader.push(block);
    expect(codeOf(() => reader.push(block))).toBe("tar-limit");
  });

  test("names the entry and what was expected", () => {
    expect(errorOf(() => readTar(archiveWith({ 156: "S" }))).message).toBe(
      "tar entry file: expected a file, directory, link, device or fifo, got a GNU sparse file",
    );
  });
});

function readSizes(archive: Buffer): number[] {
  const sizes: number[] = [];
  createTarReader({ entry: (entry) => sizes.push(entry.size), data: () => {} }).push(archive);
  return sizes;
}
