import { existsSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Failure } from "../../manifests/failure.ts";
import { HostdError } from "../error.ts";
import { markPath, readMark } from "./mark.ts";
import { findDamage, readSeal } from "./seal.ts";

/** SQLite's result codes that say nothing about what a file holds: no permission, busy, locked, no memory, read-only, I/O, full, cannot open, locking. */
const NO_DAMAGE: ReadonlySet<number> = new Set([3, 5, 6, 7, 8, 10, 13, 14, 15]);

/** Bytes: the least index has 32 KiB, and the log may be of any size. */
const INDEX_ROOM = 256 * 1024;

/**
 * What a look at a journal finds, in words; undefined where it holds what was written. Damage may be found as an error
 * of whoever reads: that is words as well. What only hinders the look says nothing about the journal, and is thrown.
 */
export function damageOf(look: () => string | undefined): string | undefined {
  try {
    return look();
  } catch (error) {
    if (isHindrance(error)) throw error;
    return (error as Error).message;
  }
}

/**
 * What is wrong with the journal at a path, in words; undefined where it holds what was written, or where there never
 * was one: neither mark nor copy is beside it. Changes nothing: not even what a crash left in its log is taken over. SQLite may leave an empty log and an
 * index of it there; they are not removed, since whoever opens the journal meanwhile writes to them.
 */
export function inspectJournal(path: string, mark = readMark(path)): string | undefined {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined || size === 0) {
    const wasThere = mark !== undefined || isThere(copyPath(path));
    return wasThere ? `it is ${size === 0 ? "empty" : "gone"}` : undefined;
  }
  needRoomForIndex(path);
  const connection = new DatabaseSync(path, { readOnly: true });
  try {
    connection.exec("PRAGMA busy_timeout = 500");
    return damageOf(() => {
      connection.exec("PRAGMA cache_size = -64"); // KiB: it is read once, from front to back
      return findDamage(connection, mark);
    });
  } finally {
    connection.close();
  }
}

/** Refuses a state directory in which nothing tells of a journal: neither itself, nor its mark, nor its copy. */
export function requireJournal(path: string): void {
  if ([path, markPath(path), copyPath(path)].some(isThere)) return;
  throw new HostdError("journal", `${path}: expected the journal of a node, found nothing`, {
    hint: "name the directory that hostd serve was given as --state",
  });
}

/** Throws where that cannot be known. */
function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Whoever only reads maps an index of the log into its memory: where the disk has no block for it, the process is killed. */
function needRoomForIndex(path: string): void {
  const { bavail, bsize } = statfsSync(dirname(path)); // of what ext4 reserves a mapped file gets nothing
  if (bavail * bsize < INDEX_ROOM) throw diskFull(path);
}

/** Why nothing can be recorded now. */
export function diskFull(path: string, cause?: unknown): Failure {
  return new Failure("failed", "disk-full", `${path}: expected room on its file system, found none`, {
    cause,
    hint: `delete or move what else is below ${dirname(path)}; then hostd prune takes away what old versions hold`,
  });
}

/** Throws where the journal is damaged; answers what hindered the look. */
export function refuseDamaged(path: string, look: () => string | undefined): unknown {
  try {
    const damage = cutShort(path) ?? look();
    if (damage !== undefined) throw damagedJournal(path, damage);
    return undefined;
  } catch (error) {
    if (error instanceof HostdError) throw error;
    return error;
  }
}

/** What a restore that did not come to its end leaves, in words: a journal without its log may look sound and is not. */
export function cutShort(path: string): string | undefined {
  return existsSync(restoringPath(path)) ? "a restore of it was cut short, and is to be asked for again" : undefined;
}

/** The copy that hostd keeps of a journal (copy.ts). */
export function copyPath(journal: string): string {
  return `${journal}.copy`;
}

/** The copy on its way to a damaged journal's place; there until it has it. */
export function restoringPath(path: string): string {
  return `${path}.restoring`;
}

/** How many changes a journal was sealed with last; 0 where that cannot be read, or not be believed. */
export function sealedChanges(path: string): number {
  if (!existsSync(path)) return 0;
  const connection = new DatabaseSync(path, { readOnly: true });
  try {
    return readSeal(connection)?.changes ?? 0;
  } catch {
    return 0;
  } finally {
    connection.close();
  }
}

export function damagedJournal(path: string, damage: string): HostdError {
  return new HostdError("journal-damaged", `${path} is damaged: ${damage}; nothing is changed, and apps go on`, {
    hint: "hostd journal check tells more, hostd journal restore takes the copy that hostd keeps",
    details: { damage },
  });
}

function isHindrance(error: unknown): boolean {
  const { errcode, syscall } = error as { errcode?: number; syscall?: string };
  return syscall !== undefined || (errcode !== undefined && NO_DAMAGE.has(errcode & 0xff));
}
