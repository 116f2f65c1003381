import { createHash, type Hash } from "node:crypto";
import { constants } from "node:fs";
import { copyFile, type FileHandle, mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { renameDurably, writeDurably } from "../effects/durable.ts";
import { hasErrno, unlessMissing } from "../effects/errno.ts";
import { READ_SIZE } from "../effects/source.ts";
import { type Digest, digestFromHex, hexOf } from "../manifests/digest.ts";
import type { Descriptor } from "../manifests/image.ts";
import { StoreError } from "./store-error.ts";
import { createIndex } from "./store-index.ts";

interface BlobSize {
  digest: Digest;
  size: number;
}

/** An OCI image layout directory (image-spec image-layout.md): blobs named by their content, and names for images. */
export interface Store {
  readonly directory: string;
  /** Whether the blob is there; `read` and `stream` say whether it is right. */
  has(digest: Digest): Promise<boolean>;
  pathOf(digest: Digest): string;
  /** Keeps a blob durably. One that is not what was expected leaves no file; one that is there already is renewed. */
  write(
    source: AsyncIterable<Uint8Array> | Uint8Array,
    expected?: { digest?: Digest; size?: number },
  ): Promise<BlobSize>;
  /** A whole blob of at most `limit` bytes, checked before it is returned. */
  read(digest: Digest, limit: number): Promise<Buffer>;
  /** A blob of any size: all of it is checked before the first byte comes. */
  stream(digest: Digest): AsyncIterable<Buffer>;
  /** Copies a blob, checked, sharing its disk blocks where the file system can. Nothing to do where it is there and right. */
  copyTo(digest: Digest, other: Store): Promise<void>;
  /** Names a manifest; a name moves from what it named before. Safe under concurrent processes. */
  tag(name: string, manifest: Descriptor): Promise<void>;
  /** Takes a name away; the blobs stay. */
  untag(name: string): Promise<void>;
  tags(): Promise<{ name: string; descriptor: Descriptor }[]>;
  /** The image that a name, a digest or a unique start of one (6 hex digits or more) means. */
  resolve(reference: string): Promise<Descriptor>;
}

/** Blobs up to this size are read once, checked in memory and handed out; larger ones are read twice. */
const WHOLE_READ_LIMIT = 8 * 1024 * 1024;

/** What a writer that was killed left behind is removed once it is this old, in milliseconds. */
const STALE_AFTER = 10 * 60 * 1000;

/** Opens the layout in a directory, making it where it is missing, and clears what killed writers left. */
export async function openStore(directory: string): Promise<Store> {
  const blobs = join(directory, "blobs", "sha256");
  await mkdir(blobs, { recursive: true });
  await writeLayoutFile(directory);
  await removeStale(blobs);
  const pathOf = (digest: Digest) => join(blobs, hexOf(digest));
  const index = createIndex(directory, blobs);
  const store: Store = {
    directory,
    pathOf,
    has: async (digest) => (await unlessMissing(stat(pathOf(digest)))) !== undefined,
    write: (source, expected = {}) => writeBlob(blobs, source, expected),
    read: (digest, limit) => withBlob(pathOf(digest), digest, (blob) => readWhole(blob, digest, limit)),
    stream: (digest) => streamBlob(pathOf(digest), digest),
    copyTo: (digest, other) => copyBlob(store, digest, other),
    ...index,
  };
  return store;
}

interface Blob {
  file: FileHandle;
  path: string;
  size: number;
}

async function writeBlob(
  blobs: string,
  source: AsyncIterable<Uint8Array> | Uint8Array,
  expected: { digest?: Digest; size?: number },
): Promise<BlobSize> {
  const temporary = temporaryIn(blobs);
  try {
    const written = await writeTemporary(temporary, source, expected.size);
    checkExpected(written, expected);
    await renameDurably(temporary, join(blobs, hexOf(written.digest)));
    return written;
  } catch (error) {
    await rm(temporary, { force: true });
    throw describe(error, blobs);
  }
}

async function writeTemporary(
  path: string,
  source: AsyncIterable<Uint8Array> | Uint8Array,
  limit = Number.POSITIVE_INFINITY,
): Promise<BlobSize> {
  const hash = createHash("sha256");
  let size = 0;
  const file = await open(path, "wx", 0o644);
  try {
    for await (const chunk of source instanceof Uint8Array ? [source] : source) {
      size += chunk.length;
      if (size > limit) throw new StoreError("blob-size", `blob: expected ${limit} bytes, got more`);
      const written = file.writeFile(chunk);
      hash.update(chunk);
      await written;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { digest: digestOf(hash), size };
}

function checkExpected(written: BlobSize, expected: { digest?: Digest; size?: number }): void {
  if (expected.size !== undefined && written.size !== expected.size) {
    throw new StoreError("blob-size", `blob: expected ${expected.size} bytes, got ${written.size}`);
  }
  if (expected.digest !== undefined && written.digest !== expected.digest) {
    throw new StoreError("blob-corrupt", `blob: expected ${expected.digest}, got ${written.digest}`);
  }
}

async function withBlob<T>(path: string, digest: Digest, use: (blob: Blob) => Promise<T>): Promise<T> {
  const file = await openBlob(path, digest);
  try {
    return await use({ file, path, size: (await file.stat()).size });
  } finally {
    await file.close();
  }
}

async function openBlob(path: string, digest: Digest): Promise<FileHandle> {
  const file = await unlessMissing(open(path, "r"));
  if (file !== undefined) return file;
  throw new StoreError("blob-missing", `${path}: expected blob ${digest}, got no file`, {
    hint: "build the image again, or copy it from where it is whole",
  });
}

async function readWhole(blob: Blob, digest: Digest, limit: number): Promise<Buffer> {
  if (blob.size > limit) {
    throw new StoreError("blob-size", `${blob.path}: expected at most ${limit} bytes, got ${blob.size}`);
  }
  const bytes = await blob.file.readFile();
  checkDigest(blob.path, digest, digestOf(createHash("sha256").update(bytes)));
  return bytes;
}

async function* streamBlob(path: string, digest: Digest): AsyncIterable<Buffer> {
  const file = await openBlob(path, digest);
  try {
    const blob = { file, path, size: (await file.stat()).size };
    if (blob.size <= WHOLE_READ_LIMIT) return yield await readWhole(blob, digest, WHOLE_READ_LIMIT);
    await checkWhole(blob, digest);
    yield* chunksOf(file);
  } finally {
    await file.close();
  }
}

async function checkWhole({ file, path }: Blob, digest: Digest): Promise<void> {
  const hash = createHash("sha256");
  for await (const chunk of chunksOf(file)) hash.update(chunk);
  checkDigest(path, digest, digestOf(hash));
}

async function isWhole(path: string, digest: Digest): Promise<boolean> {
  try {
    await withBlob(path, digest, (blob) => checkWhole(blob, digest));
    return true;
  } catch (error) {
    if (error instanceof StoreError && (error.code === "blob-missing" || error.code === "blob-corrupt")) return false;
    throw error;
  }
}

/** The file from its start, with the next piece read while the last one is used. */
async function* chunksOf(file: FileHandle): AsyncIterable<Buffer> {
  let position = 0;
  let next = readAt(file, position);
  for (let chunk = await next; chunk.length > 0; chunk = await next) {
    position += chunk.length;
    next = readAt(file, position);
    // A consumer that stops early never awaits the piece read ahead.
    next.catch(() => {});
    yield chunk;
  }
}

async function readAt(file: FileHandle, position: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafeSlow(READ_SIZE), 0, READ_SIZE, position);
  return buffer.subarray(0, bytesRead);
}

async function copyBlob(store: Store, digest: Digest, other: Store): Promise<void> {
  const from = store.pathOf(digest);
  const to = other.pathOf(digest);
  if (await isWhole(to, digest)) return;
  await withBlob(from, digest, async () => {
    const temporary = temporaryIn(join(other.directory, "blobs", "sha256"));
    try {
      await copyFile(from, temporary, constants.COPYFILE_FICLONE);
      await withBlob(temporary, digest, async (blob) => {
        await checkWhole({ ...blob, path: from }, digest);
        await blob.file.sync();
      });
      await renameDurably(temporary, to);
    } catch (error) {
      await rm(temporary, { force: true });
      throw describe(error, other.directory);
    }
  });
}

function describe(error: unknown, directory: string): unknown {
  if (!hasErrno(error, "ENOSPC", "EDQUOT")) return error;
  return new StoreError("store-full", `${directory}: expected space for a blob, got ${error.code}`, {
    cause: error,
    hint: "free space on this file system, then run the command again",
  });
}

function checkDigest(path: string, expected: Digest, got: Digest): void {
  if (got === expected) return;
  throw new StoreError("blob-corrupt", `${path}: expected blob ${expected}, got ${got}`, {
    hint: "remove the file, then build the image again or copy it from where it is whole",
    details: { path, expected, got },
  });
}

function digestOf(hash: Hash): Digest {
  return digestFromHex(hash.digest("hex"));
}

async function writeLayoutFile(directory: string): Promise<void> {
  const path = join(directory, "oci-layout");
  if ((await unlessMissing(stat(path))) === undefined) await writeDurably(path, '{"imageLayoutVersion":"1.0.0"}');
}

function temporaryIn(blobs: string): string {
  return join(blobs, `.${process.pid}-${Math.random().toString(36).slice(2)}.tmp`);
}

async function removeStale(blobs: string): Promise<void> {
  const names = (await readdir(blobs)).filter((name) => name.startsWith(".") && name.endsWith(".tmp"));
  for (const name of names) {
    const path = join(blobs, name);
    const found = await unlessMissing(stat(path));
    if (found !== undefined && Date.now() - found.mtimeMs > STALE_AFTER) await rm(path, { force: true });
  }
}
