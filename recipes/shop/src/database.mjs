import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { MIGRATIONS, READS, SCHEMA } from "./migrations.mjs";
import { version } from "./version.mjs";

/** How long a statement waits for another process's lock, in milliseconds. */
const LOCK_WAIT = 5_000;

/** The data directory holds something this version must not touch. */
export class DataError extends Error {
  name = "DataError";
}

/**
 * Opens the order database for serving; a new, empty one is laid out first.
 * Refuses data of a newer schema, and data of an older one that migrate.mjs has not brought forward.
 */
export function openDatabase(directory) {
  return withConnection(directory, (database) => {
    if (schemaOf(database) === 0) migrate(database);
    const schema = schemaOf(database);
    if (schema !== SCHEMA) {
      throw new DataError(`expected data of schema ${SCHEMA}, got ${schema}: run migrate.mjs before the server`);
    }
  });
}

/**
 * Brings the data forward to this version's schema in one transaction: done whole or not at all, and nothing when
 * it is there already. Refuses data of a newer schema. Returns the schema before and after.
 */
export function migrateData(directory) {
  let before = 0;
  const database = withConnection(directory, (opened) => {
    before = migrate(opened);
  });
  database.close();
  return { before, after: SCHEMA };
}

/** A further connection to the database of a running shop, for looking at it; a missing file is an error. */
export function connect(directory) {
  return openFile(directory, "rw");
}

/** The schema number of the data: 0 for a new, empty database. */
export function schemaOf(database) {
  return database.prepare("PRAGMA user_version").get().user_version;
}

function openFile(directory, mode) {
  const url = pathToFileURL(join(directory, "orders.db"));
  url.searchParams.set("mode", mode);
  return new DatabaseSync(url, { timeout: LOCK_WAIT });
}

function withConnection(directory, prepare) {
  const database = openFile(directory, "rwc");
  try {
    refuseNewer(schemaOf(database));
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    prepare(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function migrate(database) {
  database.exec("BEGIN IMMEDIATE");
  try {
    const before = schemaOf(database);
    refuseNewer(before);
    for (const step of MIGRATIONS.slice(before)) step(database);
    database.exec(`PRAGMA user_version = ${SCHEMA}`);
    database.exec("COMMIT");
    return before;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

function refuseNewer(schema) {
  if (schema > SCHEMA) {
    throw new DataError(`shop ${version} reads data of schema ${READS}, got ${schema}: a newer shop wrote it`);
  }
}
