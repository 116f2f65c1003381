import { chmod, mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { syncDirectory } from "../effects/durable.ts";
import { hasErrno } from "../effects/errno.ts";
import { withLock } from "../effects/lock.ts";
import { TrustError } from "./error.ts";

/**
 * Makes a directory whole or not at all: `fill` gets a hidden one beside it, which takes the name when it is done.
 * Refuses where something has the name; what a killed one left is removed. The bytes must be synced by `fill`.
 */
export async function createDirectory(
  path: string,
  mode: number,
  fill: (staged: string) => Promise<void>,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const staged = join(dirname(path), `.${basename(path)}.new`);
  await withLock(staged, async () => {
    await rm(staged, { recursive: true, force: true });
    try {
      await mkdir(staged);
      await fill(staged);
      await chmod(staged, mode);
      await renameToNew(staged, path);
    } finally {
      await rm(staged, { recursive: true, force: true });
    }
  });
}

/** Renames a directory to a name that nothing has; an empty directory counts as nothing. */
async function renameToNew(from: string, to: string): Promise<void> {
  try {
    await syncDirectory(from);
    await rename(from, to);
  } catch (error) {
    if (!hasErrno(error, "ENOTEMPTY", "EEXIST", "ENOTDIR")) throw error;
    throw new TrustError("keys-exist", `${to}: expected no ${basename(to)}, got one, which is never overwritten`);
  }
  await syncDirectory(dirname(to));
}
