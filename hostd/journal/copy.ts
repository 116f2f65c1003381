import { existsSync, linkSync, rmSync } from "node:fs";
import { copyFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { renameDurably, syncDirectory, syncEach } from "../../effects/durable.ts";
import { HostdError } from "../error.ts";
import type { Database } from "./database.ts";
import { damagedJournal, inspectJournal } from "./inspect.ts";
import { markPath, readMark } from "./mark.ts";

// The copy of the journal that hostd keeps beside it, and the way back to it.

const UNFINISHED = "SELECT count(*) AS unfinished FROM operations WHERE state IN ('running', 'reverting')";

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

/** Reads journal and copy whole; changes nothing. Refuses while hostd has the journal. */
export function reportJournal(journal: string): JournalReport {
  const damage = unlessHeld(journal, () => inspectJournal(journal));
  const copy = copyPath(journal);
  if (!existsSync(copy)) return { journal, damage };
  const wrong = inspectCopy(copy);
  if (wrong !== undefined) return { journal, damage, copy: { path: copy, damage: wrong } };
  const { changes, until } = lastOf(copy);
  const mark = readMark(journal);
  return {
    journal,
    damage,
    copy: { path: copy, until, missing: mark === undefined ? undefined : Math.max(0, mark - changes) },
  };
}

/**
 * Puts the copy in the place of a damaged journal, whose files stay beside it under another name. Refuses to give up a
 * journal that is sound, and, unless that is accepted, changes that the copy does not have. Answers where those are.
 */
export async function restoreJournal(
  journal: string,
  { acceptLoss, now }: { acceptLoss: boolean; now: Date },
): Promise<JournalReport & { kept: string }> {
  const report = reportJournal(journal);
  const { damage, copy } = report;
  if (damage === undefined) throw new HostdError("bad-request", `${journal} is sound: there is nothing to restore`);
  if (copy === undefined || copy.damage !== undefined) throw noCopy(journal, copy?.damage);
  if (copy.missing !== 0 && !acceptLoss) throw loss(copy);
  const kept = `${journal}.damaged-${now.toISOString().replaceAll(":", "").slice(0, 17)}`;
  const coming = `${journal}.coming`;
  await copyFile(copy.path, coming);
  syncEach([coming]);
  for (const end of ["", "-wal"]) if (existsSync(journal + end)) linkSync(journal + end, kept + end);
  removeDatabase(journal, ["-wal", "-shm"]);
  await rename(coming, journal);
  await syncDirectory(dirname(journal));
  rmSync(markPath(journal), { force: true }); // last: until then a restore that was cut short is one to begin again
  return { ...report, kept };
}

function copyPath(journal: string): string {
  return `${journal}.copy`;
}

/** What is wrong with a copy; nobody else has it open, so that nothing of the look stays beside it. */
function inspectCopy(copy: string): string | undefined {
  try {
    return inspectJournal(copy, 0); // no copy is of a journal that was never written to
  } finally {
    removeDatabase(copy, ["-wal", "-shm"]);
  }
}

function lastOf(copy: string): { changes: number; until: string | undefined; unfinished: number } {
  const connection = new DatabaseSync(copy, { readOnly: true });
  try {
    const changes = Number(connection.prepare("SELECT changes FROM seal").get()?.["changes"] ?? 0);
    const until = connection.prepare("SELECT at FROM events ORDER BY id DESC LIMIT 1").get()?.["at"];
    const { unfinished } = connection.prepare(UNFINISHED).get() ?? {};
    return { changes, until: until === undefined ? undefined : String(until), unfinished: Number(unfinished) };
  } finally {
    connection.close();
    removeDatabase(copy, ["-wal", "-shm"]);
  }
}

/** A file of a database with what SQLite writes beside it. */
function removeDatabase(path: string, ends = ["", "-wal", "-shm", "-journal"]): void {
  for (const end of ends) rmSync(path + end, { force: true });
}

function unlessHeld<T>(journal: string, look: () => T): T {
  try {
    return look();
  } catch (cause) {
    if (!/locked|busy/.test((cause as Error).message)) throw cause;
    throw new HostdError("already-running", `${journal}: hostd has it, and looks after it`, {
      cause,
      hint: "hostd status tells when it was last verified",
    });
  }
}

function noCopy(journal: string, damage: string | undefined): HostdError {
  const found = damage === undefined ? "found none" : `found one that is damaged: ${damage}`;
  return new HostdError("journal-damaged", `${copyPath(journal)}: expected a sound copy of the journal, ${found}`, {
    hint: "hostd reset --keep-data takes the node back to empty and leaves the apps' data",
  });
}

function loss({ until, missing }: NonNullable<JournalReport["copy"]>): HostdError {
  const lost = missing === undefined ? "an unknown number of changes" : `${missing} changes`;
  return new HostdError("journal-damaged", `the copy ends at ${until}: ${lost} after it would be forgotten`, {
    hint: "hostd journal restore --accept-loss, then reboot: what runs may be what it forgets",
  });
}
