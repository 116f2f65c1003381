import { createHash } from "node:crypto";
import { createReadStream, readSync, writeSync } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { renameDurably, temporaryNameOf } from "../../effects/durable.ts";
import { READ_SIZE } from "../../effects/source.ts";
import { digestFromHex } from "../../manifests/digest.ts";
import { Failure } from "../../manifests/failure.ts";
import { type Descriptor, type Digest, type LayerVerity, verityOf } from "../../manifests/image.ts";
import type { ErofsOutput } from "../erofs/blocks.ts";
import { ErofsError } from "../erofs/error.ts";
import { hashLevelSizes } from "../erofs/hashtree.ts";
import { BLOCK_SIZE, EROFS_FORMAT } from "../erofs/limits.ts";
import { createErofsWriter, type ErofsResult } from "../erofs/write.ts";
import { createTarReader } from "../tar/read.ts";
import { compressionOf, decompress } from "../zstd.ts";

/**
 * Lays a layer down: turns a blob, whose digest was verified before, into `destination`, an EROFS image with its
 * hash tree behind it. Refuses content that is not the signed one (diff_id, size and verity root) before the file is
 * a file system. `destination` appears whole and durable or not at all; its directory must exist.
 */
export async function layDown(blobPath: string, layer: Descriptor, diffId: Digest, destination: string): Promise<void> {
  const temporary = temporaryNameOf(destination);
  try {
    const verity = verityOf(layer);
    checkFormat(verity);
    await withNewFile(temporary, async (file) => {
      const { found, result } = await unpack(blobPath, layer.mediaType, outputTo(file, verity));
      checkFound(diffId, found, verity, result);
      await finishFile(file, result, fileSize(verity));
    });
    await renameDurably(temporary, destination);
  } catch (error) {
    await rm(temporary, { force: true });
    throw describe(error, layer, destination);
  }
}

async function unpack(blobPath: string, mediaType: string, output: ErofsOutput) {
  const writer = createErofsWriter(output);
  const reader = createTarReader(writer);
  const hash = createHash("sha256");
  const blob = createReadStream(blobPath, { highWaterMark: READ_SIZE });
  for await (const chunk of decompress(blob, compressionOf(mediaType))) {
    hash.update(chunk);
    reader.push(chunk);
  }
  reader.finish();
  return { found: digestFromHex(hash.digest("hex")), result: writer.finish() };
}

function outputTo(file: FileHandle, verity: LayerVerity): ErofsOutput {
  return {
    write(bytes, position) {
      if (position + bytes.length > verity.size) {
        throw mismatch(`an EROFS image of ${verity.size} bytes`, `more than ${position + bytes.length}`);
      }
      writeWhole(file, bytes, position);
    },
    takeLeaves: (bytes, position) => writeWhole(file, bytes, leavesStart(verity) + position),
    scratch: {
      write: (bytes, position) => writeWhole(file, bytes, fileSize(verity) + position),
      read: (target, position) => readWhole(file, target, fileSize(verity) + position),
    },
  };
}

/** Where the digests of the data blocks begin: behind the image and the upper levels, of the size that was signed. */
function leavesStart(verity: LayerVerity): number {
  const leaves = hashLevelSizes(verity.size / BLOCK_SIZE).at(-1) ?? 0;
  return fileSize(verity) - leaves * BLOCK_SIZE;
}

/** Bytes of the image with its hash tree; what is behind them is scratch. */
function fileSize(verity: LayerVerity): number {
  const blocks = hashLevelSizes(verity.size / BLOCK_SIZE).reduce((sum, level) => sum + level, 0);
  return verity.size + blocks * BLOCK_SIZE;
}

/** The superblock makes the file a file system, so all else is on the disk before it is written. */
async function finishFile(file: FileHandle, result: ErofsResult, size: number): Promise<void> {
  let position = result.size;
  for (const chunk of result.tree) {
    writeWhole(file, chunk, position);
    position += chunk.length;
  }
  await file.truncate(size);
  await file.sync();
  writeWhole(file, result.superblock, 0);
  await file.sync();
}

function writeWhole(file: FileHandle, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file.fd, bytes, at, bytes.length - at, position + at);
}

function readWhole(file: FileHandle, target: Buffer, position: number): void {
  for (let at = 0; at < target.length; ) {
    const read = readSync(file.fd, target, at, target.length - at, position + at);
    if (read === 0) throw new ErofsError("layer-write", `expected ${target.length} bytes at ${position}, got ${at}`);
    at += read;
  }
}

function checkFormat(verity: LayerVerity): void {
  if (verity.format === EROFS_FORMAT) return;
  throw new ErofsError("layer-format", `expected EROFS format ${EROFS_FORMAT}, got ${verity.format}`, {
    hint: "update hostd on this node to the version that built the image",
  });
}

function checkFound(diffId: Digest, found: Digest, verity: LayerVerity, result: ErofsResult): void {
  if (found !== diffId) {
    throw new ErofsError("diff-id-mismatch", `expected a tar with diff_id ${diffId}, got ${found}`, {
      hint: "the image's config and its layers do not belong together: build and promote it again",
    });
  }
  if (result.size !== verity.size) throw mismatch(`an EROFS image of ${verity.size} bytes`, String(result.size));
  if (result.root !== verity.root) throw mismatch(`verity root ${verity.root}`, result.root);
}

function mismatch(expected: string, got: string): ErofsError {
  return new ErofsError("verity-mismatch", `expected ${expected}, got ${got}`, {
    hint: "the signed manifest does not describe this layer: build and promote the image again",
  });
}

function describe(error: unknown, layer: Descriptor, destination: string): unknown {
  const message = `layer ${layer.digest}: ${(error as Error).message}`;
  if (error instanceof ErofsError) return new ErofsError(error.code, message, { hint: error.hint, cause: error });
  if (error instanceof Failure) return new ErofsError("layer-content", message, { hint: error.hint, cause: error });
  if (!(error instanceof Error && "code" in error)) return error;
  return new ErofsError("layer-write", `${message}, laying it down as ${destination}`, { cause: error });
}

async function withNewFile(path: string, use: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, "wx+", 0o600);
  try {
    await use(file);
  } finally {
    await file.close();
  }
}
