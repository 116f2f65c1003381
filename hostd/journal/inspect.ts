import { rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { HostdError } from "../error.ts";
import { readMark } from "./mark.ts";
import { findDamage } from "./seal.ts";

/** SQLite's result codes that say nothing about what a file holds: busy, locked, no memory, read-only, I/O, full, cannot open. */
const NO_DAMAGE: ReadonlySet<number> = new Set([5, 6, 7, 8, 10, 13, 14]);

/**
 * What is wrong with the journal at a path, in words; undefined where it holds what was written, or where there never
 * was one. Changes nothing: not even what a crash left in its log is taken over.
 */
export function inspectJournal(path: string, mark = readMark(path)): string | undefined {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0)
    return mark === undefined ? undefined : "it is gone";
  const connection = new DatabaseSync(path, { readOnly: true });
  try {
    connection.exec("PRAGMA busy_timeout = 500");
    return findDamage(connection, mark);
  } catch (error) {
    const { errcode } = error as { errcode?: number };
    if (errcode !== undefined && NO_DAMAGE.has(errcode & 0xff)) throw error;
    return (error as Error).message;
  } finally {
    connection.close();
    rmSync(`${path}-shm`, { force: true });
    if (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size === 0) rmSync(`${path}-wal`);
  }
}

/** Throws where the journal is damaged. What only hinders a look at it hinders opening it as well, which tells. */
export function refuseDamaged(path: string): void {
  const damage = path === ":memory:" ? undefined : unlessHindered(() => inspectJournal(path));
  if (damage !== undefined) throw damagedJournal(path, damage);
}

export function damagedJournal(path: string, damage: string): HostdError {
  return new HostdError("journal-damaged", `${path} is damaged: ${damage}; nothing is changed, and apps go on`, {
    hint: "hostd journal check tells more, hostd journal restore takes the copy that hostd keeps",
    details: { damage },
  });
}

function unlessHindered(look: () => string | undefined): string | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
