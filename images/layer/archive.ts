import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { READ_SIZE } from "../../effects/source.ts";
import type { SourceEntry, TarVisitor } from "../entry.ts";
import { END_OF_ARCHIVE, encodeHeader, padding } from "../tar/write.ts";
import { layerError } from "./error.ts";

/**
 * The tar bytes of entries, in pieces of READ_SIZE; the visitor sees each entry and its content on the way. Contents
 * are read straight into the pieces, by synchronous calls, since one promise per small file would cost more than
 * reading it. Refuses a file whose size, or whose SHA-256 where one is known, is not what its entry says.
 */
export async function* archive(
  entries: Iterable<SourceEntry> | AsyncIterable<SourceEntry>,
  visitor: TarVisitor,
): AsyncIterable<Buffer> {
  const pieces = createPieces();
  for await (const entry of entries) {
    visitor.entry(entry);
    pieces.append(encodeHeader(entry));
    if (entry.type === "file" && entry.size > 0) {
      const hash = entry.sha256 === undefined ? undefined : createHash("sha256");
      for (const part of contentOf(entry, pieces)) {
        visitor.data(part);
        hash?.update(part);
        yield* pieces.taken();
      }
      checkContent(entry, hash?.digest("hex"));
      pieces.append(padding(entry.size));
    }
    yield* pieces.taken();
  }
  pieces.append(END_OF_ARCHIVE);
  yield* pieces.taken();
  yield pieces.last();
}

interface Pieces {
  append(bytes: Buffer): void;
  /** Room for bytes to be written in place, at least one. */
  room(): Buffer;
  /** Takes the first `size` bytes that were written into `room`. */
  commit(size: number): void;
  /** The pieces that are full, handed out once. */
  taken(): Buffer[];
  last(): Buffer;
}

function createPieces(): Pieces {
  let piece = Buffer.allocUnsafeSlow(READ_SIZE);
  let used = 0;
  let full: Buffer[] = [];

  function commit(size: number): void {
    used += size;
    if (used < READ_SIZE) return;
    full.push(piece);
    piece = Buffer.allocUnsafeSlow(READ_SIZE);
    used = 0;
  }

  return {
    append(bytes) {
      for (let position = 0; position < bytes.length; ) {
        const size = bytes.copy(piece, used, position);
        position += size;
        commit(size);
      }
    },
    room: () => piece.subarray(used),
    commit,
    taken() {
      const pieces = full;
      if (pieces.length > 0) full = [];
      return pieces;
    },
    last: () => piece.subarray(0, used),
  };
}

/** Writes a file's content into the pieces, part by part, and yields each part. */
function* contentOf(entry: SourceEntry, pieces: Pieces): Iterable<Buffer> {
  const { content } = entry;
  if (content === undefined) throw layerError("layer-changed", entry.path, `expected ${entry.size} bytes of content`);
  if ("file" in content) {
    yield* readFile(entry, content.file, pieces);
    return;
  }
  checkSize(entry, content.bytes.length);
  pieces.append(content.bytes);
  yield content.bytes;
}

function* readFile(entry: SourceEntry, path: string | Buffer, pieces: Pieces): Iterable<Buffer> {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    checkSize(entry, fstatSync(file).size);
    for (let left = entry.size; left > 0; ) {
      const room = pieces.room();
      const size = readSync(file, room, 0, Math.min(left, room.length), null);
      if (size === 0) checkSize(entry, entry.size - left);
      const part = room.subarray(0, size);
      pieces.commit(size);
      left -= size;
      yield part;
    }
  } finally {
    closeSync(file);
  }
}

function checkSize(entry: SourceEntry, size: number): void {
  if (size === entry.size) return;
  throw layerError(
    "layer-changed",
    entry.path,
    `expected ${entry.size} bytes, got ${size}: it changed while it was read${placeOf(entry)}`,
  );
}

function checkContent(entry: SourceEntry, sha256: string | undefined): void {
  if (sha256 === entry.sha256) return;
  const message = `expected content with SHA-256 ${entry.sha256}, got ${sha256}${placeOf(entry)}`;
  throw layerError("layer-changed", entry.path, message);
}

function placeOf({ content }: SourceEntry): string {
  return content !== undefined && "file" in content ? ` in ${content.file}` : "";
}
