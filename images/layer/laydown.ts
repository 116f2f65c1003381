import { type FileHandle, open, rm } from "node:fs/promises";
import { renameDurably, temporaryNameOf } from "../../effects/durable.ts";
import { Failure } from "../../manifests/failure.ts";
import { type Descriptor, type LayerVerity, verityOf } from "../../manifests/image.ts";
import type { ErofsOutput, Hasher } from "../erofs/blocks.ts";
import { ErofsError } from "../erofs/error.ts";
import { hashLevelSizes } from "../erofs/hashtree.ts";
import { BLOCK_SIZE, EROFS_FORMAT } from "../erofs/limits.ts";
import { createErofsWriter, type ErofsResult } from "../erofs/write.ts";
import { endsItsMemory, giveBack } from "../give-back.ts";
import { createTarReader } from "../tar/read.ts";
import { readVerified } from "../verified.ts";
import { compressionOf, decompress } from "../zstd.ts";
import { type LayerFile, openLayerFile } from "./layerfile.ts";

export interface LayDownOptions {
  /** Is told how many bytes of the blob are laid down. */
  onBytes?: ((read: number) => void) | undefined;
  /** One that has hashed nothing yet. */
  hasher?: Hasher | undefined;
}

/**
 * Lays a layer down: turns a blob, once its digest is verified, into `destination`, an EROFS image with its hash tree
 * behind it. Refuses content that is not the signed one (size and verity root, which cover each byte that is ever read
 * of it) before the file is a file system. `destination` appears whole and durable or not at all; its directory must exist.
 */
export async function layDown(
  blob: string,
  layer: Descriptor,
  destination: string,
  { onBytes, hasher }: LayDownOptions = {},
): Promise<void> {
  const temporary = temporaryNameOf(destination);
  try {
    const verity = verityOf(layer);
    checkFormat(verity);
    await withNewFile(temporary, async (handle) => {
      const file = openLayerFile(handle);
      try {
        const tar = decompress(counted(readVerified(blob, layer), onBytes), compressionOf(layer.mediaType));
        const result = await unpack(tar, { ...outputTo(file, verity), hasher }, file);
        checkFound(verity, result);
        await file.settle();
        await handle.truncate(fileSize(verity));
        writeEnds(file, result);
        await handle.sync();
      } finally {
        await file.settle().catch(() => {}); // nothing is under way when the file is closed; the first failure is told
      }
    });
    await renameDurably(temporary, destination);
  } catch (error) {
    await rm(temporary, { force: true });
    throw describe(error, layer, destination);
  }
}

async function unpack(tar: AsyncIterable<Buffer>, output: ErofsOutput, file: LayerFile): Promise<ErofsResult> {
  const writer = createErofsWriter(output);
  const reader = createTarReader(writer);
  for await (const chunk of tar) {
    reader.push(chunk);
    if (endsItsMemory(chunk)) giveBack(chunk); // reader and writer copy what they keep
    await file.drain();
  }
  reader.finish();
  return writer.finish();
}

async function* counted(
  bytes: AsyncIterable<Buffer>,
  onBytes: ((read: number) => void) | undefined,
): AsyncIterable<Buffer> {
  let read = 0;
  for await (const piece of bytes) {
    read += piece.length;
    onBytes?.(read);
    yield piece;
  }
}

function outputTo(file: LayerFile, verity: LayerVerity): ErofsOutput {
  return {
    write(bytes, position) {
      if (position + bytes.length > verity.size) {
        throw mismatch(`an EROFS image of ${verity.size} bytes`, `more than ${position + bytes.length}`);
      }
      return file.write(bytes, position);
    },
    takeLeaves: (bytes, position) => file.writeNow(bytes, leavesStart(verity) + position),
    scratch: {
      write: (bytes, position) => file.writeNow(bytes, fileSize(verity) + position),
      read: (target, position) => file.read(target, fileSize(verity) + position),
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

/** What is known last: the upper levels of the hash tree, and the superblock, which makes the file a file system. */
function writeEnds(file: LayerFile, result: ErofsResult): void {
  let position = result.size;
  for (const chunk of result.tree) {
    file.writeNow(chunk, position);
    position += chunk.length;
  }
  file.writeNow(result.superblock, 0);
}

function checkFormat(verity: LayerVerity): void {
  if (verity.format === EROFS_FORMAT) return;
  throw new ErofsError("layer-format", `expected EROFS format ${EROFS_FORMAT}, got ${verity.format}`, {
    hint: "update hostd on this node to the version that built the image",
  });
}

function checkFound(verity: LayerVerity, result: ErofsResult): void {
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
