import { closeSync, constants, fsyncSync, openSync } from "node:fs";
import { type FileHandle, open, opendir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { run } from "./process.ts";

// The one place that makes state durable: write, fsync, rename, fsync of the directory.

/** Replaces a file so that after a power cut it holds the old bytes or the new ones. The directory must exist. */
export async function writeDurably(path: string, bytes: Uint8Array | string, mode = 0o644): Promise<void> {
  const temporary = temporaryNameOf(path);
  try {
    await withFile(temporary, "wx", mode, async (file) => {
      await file.writeFile(bytes);
      await file.sync();
    });
    await renameDurably(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Renames, then makes the new name durable. The file's own bytes must be synced before. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncDirectory(dirname(to));
  if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from));
}

/** Moves a file whose bytes may not be on the disk yet. */
export async function moveDurably(from: string, to: string): Promise<void> {
  await withFile(from, constants.O_RDONLY | constants.O_NOFOLLOW, 0, (file) => file.sync());
  await renameDurably(from, to);
}

/** Makes names created, renamed or removed in a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  await withFile(directory, "r", 0, (handle) => handle.sync());
}

/** Makes a few files and directories durable, each by itself; faster than `syncFilesystem` for a small tree. */
export function syncEach(paths: Iterable<string | Buffer>): void {
  for (const path of paths) {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }
}

/** More entries than this in a tree are faster made durable by syncfs. */
const FEW_ENTRIES = 64;

/**
 * Makes a tree durable: a small one each file by itself, since syncfs waits for whatever else is being written to the
 * file system, for seconds on a busy one.
 */
export async function syncTree(directory: string): Promise<void> {
  const paths = [directory];
  for await (const entry of await opendir(directory, { recursive: true })) {
    if (paths.length > FEW_ENTRIES || entry.name.includes("\ufffd")) return await syncFilesystem(directory);
    if (entry.isFile() || entry.isDirectory()) paths.push(join(entry.parentPath, entry.name));
  }
  await Promise.all(
    paths.map((path) => withFile(path, constants.O_RDONLY | constants.O_NOFOLLOW, 0, (file) => file.sync())),
  );
}

/** One barrier for everything written to the file system that holds `path` (syncfs). */
export async function syncFilesystem(path: string): Promise<void> {
  await run(["sync", "-f", path]);
}

/** Names that `writeDurably` leaves behind when it is killed; whoever owns the directory may remove them at start. */
export const TEMPORARY_NAME = /^\..+\.[0-9a-z]+\.tmp$/;

/** A name beside `path` for bytes that are renamed to it when they are whole; matches TEMPORARY_NAME. */
export function temporaryNameOf(path: string): string {
  const unique = `${process.pid.toString(36)}${Math.random().toString(36).slice(2, 8)}`;
  return `${dirname(path)}/.${basename(path)}.${unique}.tmp`;
}

async function withFile<T>(path: string, flags: string | number, mode: number, use: (file: FileHandle) => Promise<T>) {
  const file = await open(path, flags, mode);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
