import { existsSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { renameDurably } from "../../effects/durable.ts";
import { HostdError } from "../error.ts";
import type { Database } from "./database.ts";
import { copyPath, cutShort, damagedJournal, inspectJournal, requireJournal, sealedChanges } from "./inspect.ts";
import { readMark } from "./mark.ts";
import { UNFINISHED } from "./operations.ts";

// The copy of the journal that hostd keeps beside it (restore.ts is the way back to it).

/**
 * Replaces the copy with the journal as it is now: the old copy stays until the new one is on the disk and was verified.
 * Answers how many changes it has; undefined where an operation began meanwhile, and the old copy was left: once it is
 * restored, an operation that is under way in it would be gone on with, long after it ended.
 */
export async function copyJournal(database: Database, journal: string): Promise<number | undefined> {
  const coming = `${copyPath(journal)}.coming`;
  try {
    removeDatabase(coming);
    await database.copyTo(coming);
    const damage = inspectCopy(coming);
    if (damage !== undefined) throw damagedJournal(journal, damage);
    const { changes, unfinished } = lastOf(coming);
    if (unfinished > 0) return undefined;
    await renameDurably(coming, copyPath(journal));
    return changes;
  } finally {
    removeDatabase(coming);
  }
}

/** A journal and its copy, as they lie on the disk. */
export interface JournalReport {
  journal: string;
  /** What is wrong with it. */
  damage?: string | undefined;
  copy?: {
    path: string;
    damage?: string | undefined;
    /** When its last event was, and how many changes of the journal came after it, where that is known. */
    until?: string | undefined;
    missing?: number | undefined;
  };
}

/** Reads journal and copy whole; changes nothing. Refuses where there never was one, and while hostd has it. */
export function reportJournal(journal: string): JournalReport {
  requireJournal(journal);
  const found = unlessHeld(journal, () => inspectJournal(journal));
  const damage = cutShort(journal) ?? found;
  const copy = copyPath(journal);
  if (!existsSync(copy)) return { journal, damage };
  const wrong = inspectCopy(copy);
  if (wrong !== undefined) return { journal, damage, copy: { path: copy, damage: wrong } };
  const { changes, until } = lastOf(copy);
  return { journal, damage, copy: { path: copy, until, missing: missingIn(changes, journal) } };
}

/** What is wrong with a copy; nobody else has it open, so that nothing of the look stays beside it. */
function inspectCopy(copy: string): string | undefined {
  try {
    return inspectJournal(copy, 0); // no copy is of a journal that was never written to
  } finally {
    removeDatabase(copy, ["-wal", "-shm"]);
  }
}

/** How many changes a copy lacks: the mark may lag behind the journal, so that what is sealed in it counts as well. */
function missingIn(copied: number, journal: string): number | undefined {
  const mark = readMark(journal);
  return mark === undefined ? undefined : Math.max(0, Math.max(mark, sealedChanges(journal)) - copied);
}

function lastOf(copy: string): { changes: number; until: string | undefined; unfinished: number } {
  const connection = new DatabaseSync(copy, { readOnly: true });
  try {
    const changes = Number(connection.prepare("SELECT changes FROM seal").get()?.["changes"] ?? 0);
    const until = connection.prepare("SELECT at FROM events ORDER BY id DESC LIMIT 1").get()?.["at"];
    const { unfinished } =
      connection.prepare(`SELECT count(*) AS unfinished FROM operations WHERE ${UNFINISHED}`).get() ?? {};
    return { changes, until: until === undefined ? undefined : String(until), unfinished: Number(unfinished) };
  } finally {
    connection.close();
    removeDatabase(copy, ["-wal", "-shm"]);
  }
}

/** A file of a database with what SQLite writes beside it. */
export function removeDatabase(path: string, ends = ["", "-wal", "-shm", "-journal"]): void {
  for (const end of ends) rmSync(path + end, { force: true });
}

function unlessHeld<T>(journal: string, look: () => T): T {
  try {
    return look();
  } catch (cause) {
    if (!/locked|busy/.test((cause as Error).message)) throw cause;
    throw new HostdError("already-running", `${journal}: hostd has it, and looks after it`, {
      cause,
      hint: "it was verified when hostd started, and is again at each --care: hostd status tells when that was last",
    });
  }
}
