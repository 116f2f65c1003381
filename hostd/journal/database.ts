import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import * as z from "zod";
import { HostdError } from "../error.ts";
import { MIGRATIONS, READABLE_FROM } from "./schema.ts";

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
  close(): void;
}

/**
 * Opens the database and brings its schema up to date. The lock on the file is held until the process ends, so a
 * second hostd on the same state directory is refused; so is a newer journal that says this program cannot read it.
 */
export function openDatabase(path: string): Database {
  const connection = connect(path);
  migrate(connection, path);
  const statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();
  let depth = 0;

  function prepare(sql: string) {
    const statement = statements.get(sql) ?? connection.prepare(sql);
    statements.set(sql, statement);
    return statement;
  }

  function transaction<T>(work: () => T): T {
    if (depth > 0) return work();
    connection.exec("BEGIN IMMEDIATE");
    depth++;
    try {
      const result = work();
      connection.exec("COMMIT");
      return result;
    } catch (error) {
      if (connection.isTransaction) connection.exec("ROLLBACK");
      throw error;
    } finally {
      depth--;
    }
  }

  return {
    transaction,
    later(work) {
      if (depth > 0) return work();
      connection.exec("PRAGMA synchronous = NORMAL");
      try {
        return transaction(work);
      } finally {
        connection.exec("PRAGMA synchronous = FULL");
      }
    },
    run(sql, parameters) {
      const result = prepare(sql).run(...bind(parameters));
      return { changes: Number(result.changes), id: Number(result.lastInsertRowid) };
    },
    all: (row, sql, parameters = []) =>
      prepare(sql)
        .all(...bind(parameters))
        .map((found) => row.parse(withoutNulls(found))),
    one(row, sql, parameters = []) {
      const found = prepare(sql).get(...bind(parameters));
      return found === undefined ? undefined : row.parse(withoutNulls(found));
    },
    close: () => connection.close(),
  };
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

function migrate(connection: DatabaseSync, path: string): void {
  const version = Number(connection.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
  const readableFrom = Number(connection.prepare("PRAGMA application_id").get()?.["application_id"] ?? 0);
  if (version > MIGRATIONS.length && readableFrom > 0 && readableFrom <= MIGRATIONS.length) return;
  if (version > MIGRATIONS.length) {
    throw new HostdError("journal", `${path}: expected schema at most ${MIGRATIONS.length}, got ${version}`, {
      hint: "a newer hostd wrote this state: run that one",
    });
  }
  MIGRATIONS.slice(version).forEach((sql, index) => {
    connection.exec(`BEGIN; ${sql}; PRAGMA user_version = ${version + index + 1}; COMMIT`);
  });
  if (readableFrom !== READABLE_FROM) connection.exec(`PRAGMA application_id = ${READABLE_FROM}`);
}

function journalError(path: string, cause: unknown): HostdError {
  return new HostdError("journal", `${path}: ${(cause as Error).message}`, { cause });
}

function bind(parameters: Parameters): SQLInputValue[] {
  return parameters.map((value) => value ?? null);
}

function withoutNulls(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
}
