import { rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hasErrno, unlessMissing } from "../effects/errno.ts";

/** Enough for the journal, config and logs of several reverts. */
const BALLAST_SIZE = 4 * 1024 * 1024;

/**
 * Room that hostd keeps for itself on the state directory's file system: a file, thrown off when the disk is full in
 * the middle of a revert, so that what must be written to get back to the old version can be.
 */
export interface Ballast {
  /** Takes the room, where there is any; done at start and after each operation. */
  hold(): Promise<void>;
  /** Gives it up for what is more urgent. */
  drop(): Promise<void>;
}

export function openBallast(stateDirectory: string): Ballast {
  const path = join(stateDirectory, "ballast");
  return {
    async hold() {
      await whereItCan(async () => {
        if ((await unlessMissing(stat(path)))?.size === BALLAST_SIZE) return;
        try {
          await writeFile(path, Buffer.alloc(BALLAST_SIZE, 1), { mode: 0o600 });
        } catch (error) {
          await rm(path, { force: true });
          throw error;
        }
      });
    },
    drop: () => whereItCan(() => rm(path, { force: true })),
  };
}

/** Room is a help and never a need: a disk that gives or takes none must not stop what it was for. */
async function whereItCan(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!hasErrno(error, "ENOSPC", "EDQUOT", "EROFS", "EIO")) throw error;
  }
}
