import { renameSync } from "node:fs";
import { backup, DatabaseSync, type SQLInputValue } from "node:sqlite";
import { setTimeout } from "node:timers/promises";
import * as z from "zod";
import { HostdError } from "../error.ts";
import { damagedJournal, damageOf, diskFull, inspectJournal, refuseDamaged } from "./inspect.ts";
import { openMark, readMark } from "./mark.ts";
import { MIGRATIONS, READABLE_FROM } from "./schema.ts";
import { findDamage, openSeal, type Seal } from "./seal.ts";

/** A copy that begins in the moment of a write is begun again; milliseconds between. */
const BUSY_TRIES = 50;
const BUSY_PAUSE = 20;

type Parameters = readonly (string | number | undefined)[];

/** The journal's database: synchronous, one owner, every write on disk when the call returns, unless it is said to have time. */
export interface Database {
  /** Runs `work` as one transaction; one inside another joins it. */
  transaction<T>(work: () => T): T;
  /** As above, but on disk only with the next one that is: a kill takes nothing of it, a power cut may, all or nothing. */
  later<T>(work: () => T): T;
  run(sql: string, parameters: Parameters): { changes: number; id: number };
  all<T>(row: z.ZodType<T>, sql: string, parameters?: Parameters): T[];
  one<T>(row: z.ZodType<T>, sql: string, parameters?: Parameters): T | undefined;
  /** Transactions so far that changed anything. */
  changes(): number;
  /**
   * Reads every row from the files, past what SQLite has of them in memory (the kernel may have them in its own); answers
   * what is wrong, undefined where nothing is. Throws what hinders the look. Once something is wrong every write and copy
   * throws that, and closing it leaves its files as they are.
   */
  findDamage(): string | undefined;
  /** Writes all of it, as it is at one moment, to another file, which must not be there yet; hostd goes on meanwhile. */
  copyTo(file: string): Promise<void>;
  close(): void;
}

/**
 * Opens the database and brings its schema up to date. The lock on the file is held until the process ends, so a
 * second hostd on the same state directory is refused; so is a newer journal that says this program cannot read it, and
 * one that does not hold what was written (inspect.ts), whose files stay as they are. `onChange` is called after each
 * transaction that changed anything, `onHindrance` where it could not be read whole before it was opened.
 */
export function openDatabase(
  path: string,
  onChange: () => void = () => {},
  onHindrance: (error: unknown) => void = () => {},
): Database {
  const hindrance = path === ":memory:" ? undefined : refuseDamaged(path, () => inspectJournal(path));
  const connection = connect(path);
  if (hindrance !== undefined) lookAgain(connection, path, onHindrance);
  const { seal, isWritten } = prepareSealed(connection, path);
  const mark = openMark(path);
  /** After a commit that is on the disk, and with it all before: what a killed hostd left in the log may not be. */
  const synced = () => {
    mark.write(seal.changes());
    onChange();
  };
  if (isWritten) synced();
  else onChange();
  const statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();
  let depth = 0;
  let refusal: HostdError | undefined;

  /** Once damage was found nothing is written: it would be hidden, or lead others. */
  function refuse(): void {
    if (refusal !== undefined) throw refusal;
  }

  function prepare(sql: string) {
    const statement = statements.get(sql) ?? connection.prepare(sql);
    statements.set(sql, statement);
    return statement;
  }

  function transaction<T>(work: () => T): T {
    const before = seal.changes();
    const result = commit(work);
    if (seal.changes() !== before) synced();
    return result;
  }

  function commit<T>(work: () => T): T {
    refuse();
    if (depth > 0) return work();
    return seal.counted(() => {
      connection.exec("BEGIN IMMEDIATE");
      depth++;
      try {
        const result = work();
        seal.write();
        connection.exec("COMMIT");
        return result;
      } catch (error) {
        if (connection.isTransaction) connection.exec("ROLLBACK");
        throw isFull(error) ? diskFull(path, error) : error;
      } finally {
        depth--;
      }
    });
  }

  return {
    transaction,
    later(work) {
      if (depth > 0) return work();
      connection.exec("PRAGMA synchronous = NORMAL");
      try {
        return commit(work); // the mark is not written: it may not be ahead of the disk
      } finally {
        connection.exec("PRAGMA synchronous = FULL");
        onChange();
      }
    },
    run: (sql, parameters) =>
      transaction(() => {
        const result = seal.counted(() => prepare(sql).run(...bind(parameters)));
        return { changes: Number(result.changes), id: Number(result.lastInsertRowid) };
      }),
    all: (row, sql, parameters = []) =>
      prepare(sql)
        .all(...bind(parameters))
        .map((found) => row.parse(withoutNulls(found))),
    one(row, sql, parameters = []) {
      const found = prepare(sql).get(...bind(parameters));
      return found === undefined ? undefined : row.parse(withoutNulls(found));
    },
    changes: seal.changes,
    findDamage() {
      const damage = damageOf(() => {
        connection.exec("PRAGMA shrink_memory"); // else pages that SQLite has would be read in place of the files'
        return findDamage(connection, seal.changes());
      });
      if (damage !== undefined) refusal = damagedJournal(path, damage);
      return damage;
    },
    async copyTo(file) {
      for (let tries = 1; ; tries++) {
        refuse();
        try {
          await backup(connection, file);
          return;
        } catch (error) {
          if (!isBusy(error) || tries === BUSY_TRIES) throw error;
          await setTimeout(BUSY_PAUSE);
        }
      }
    },
    close() {
      if (refusal === undefined) connection.close();
      else closeAsItIs(connection, path);
      mark.close();
    },
  };
}

/** Closes a database without moving its log into it: SQLite leaves both alone where the file is not in its place. */
function closeAsItIs(connection: DatabaseSync, path: string): void {
  const aside = `${path}.damaged-closing`;
  renameSync(path, aside);
  connection.close();
  renameSync(aside, path);
}

/** A column holding JSON, as the value its schema gives. */
export function json<T>(schema: z.ZodType<T>) {
  return z
    .string()
    .transform((text): unknown => JSON.parse(text))
    .pipe(schema as z.ZodType<T, unknown>);
}

function connect(path: string): DatabaseSync {
  const connection = new DatabaseSync(path);
  try {
    connection.exec("PRAGMA busy_timeout = 500; PRAGMA locking_mode = EXCLUSIVE");
    connection.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
    connection.exec("BEGIN EXCLUSIVE; COMMIT");
    return connection;
  } catch (cause) {
    connection.close();
    if (!/locked|busy/.test((cause as Error).message)) throw journalError(path, cause);
    throw new HostdError("already-running", `${path}: another hostd holds this state directory`, {
      cause,
      hint: "hostd status asks the one that runs",
    });
  }
}

/** What hindered the first look, such as a hostd that was about to end, may be over; a journal that stays unread is told. */
function lookAgain(connection: DatabaseSync, path: string, tell: (hindrance: unknown) => void): void {
  try {
    const hindrance = refuseDamaged(path, () => damageOf(() => findDamage(connection, readMark(path))));
    if (hindrance !== undefined) tell(hindrance);
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** Brings the schema up to date and seals what it holds, both or neither. */
function prepareSealed(connection: DatabaseSync, path: string): { seal: Seal; isWritten: boolean } {
  try {
    connection.exec("BEGIN IMMEDIATE");
    const isMigrated = migrate(connection, path);
    const seal = openSeal(connection, { isMigrated });
    const before = seal.changes();
    seal.write();
    connection.exec("COMMIT");
    return { seal, isWritten: seal.changes() !== before };
  } catch (cause) {
    connection.close();
    throw cause instanceof HostdError ? cause : journalError(path, cause);
  }
}

function migrate(connection: DatabaseSync, path: string): boolean {
  const version = Number(connection.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
  const readableFrom = Number(connection.prepare("PRAGMA application_id").get()?.["application_id"] ?? 0);
  if (version > MIGRATIONS.length && readableFrom > 0 && readableFrom <= MIGRATIONS.length) return false;
  if (version > MIGRATIONS.length) {
    throw new HostdError("journal", `${path}: expected schema at most ${MIGRATIONS.length}, got ${version}`, {
      hint: "a newer hostd wrote this state: run that one",
    });
  }
  for (const sql of MIGRATIONS.slice(version)) connection.exec(sql);
  if (version < MIGRATIONS.length) connection.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  if (readableFrom !== READABLE_FROM) connection.exec(`PRAGMA application_id = ${READABLE_FROM}`);
  return version < MIGRATIONS.length;
}

function journalError(path: string, cause: unknown): HostdError {
  return new HostdError("journal", `${path}: ${(cause as Error).message}`, { cause });
}

/** What Node tells of a copy whose first step met a write: an error of which SQLite knows nothing. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === 0;
}

/** SQLITE_FULL: the file system has no room, or the user's quota. */
function isFull(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === 13;
}

function bind(parameters: Parameters): SQLInputValue[] {
  return parameters.map((value) => value ?? null);
}

function withoutNulls(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
}
