import { hash } from "node:crypto";
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import * as z from "zod";

// The seal says what every row of the journal holds, so that a byte that changed on the disk is not taken for what hostd
// wrote. It is the exclusive or of a hash of each row: a row that comes, changes or goes is counted in and out, in the
// transaction that does so, by triggers that this connection alone has. An older hostd knows nothing of it and leaves it
// behind: then it names an event before the last one, and is made anew.

/** Bytes of a sum. */
const WIDTH = 16;

const sealRow = z.object({
  /** Transactions that changed anything since the first seal. */
  changes: z.int(),
  /** The last event that it covers. */
  event: z.int(),
  sum: z.string(),
  /** Hash of the three, so that a damaged seal is not believed either. */
  own: z.string(),
});

type SealRow = z.infer<typeof sealRow>;

/** What the seal of a connection does: counts rows in and out, and is written with them. */
export interface Seal {
  /** Transactions so far. */
  changes(): number;
  /** Runs one statement or transaction; where it throws, nothing of it was counted. */
  counted<T>(work: () => T): T;
  /** Writes the seal where anything was counted since it was last written; before each commit. */
  write(): void;
}

/** Begins to count, from what the database holds now: `findDamage` was asked before. */
export function openSeal(connection: DatabaseSync, { isMigrated }: { isMigrated: boolean }): Seal {
  const seal = readSeal(connection);
  const isCovered = seal !== undefined && !isMigrated && seal.event === lastEvent(connection);
  const sum = isCovered ? Buffer.from(seal.sum.slice(0, 2 * WIDTH), "hex") : sumOf(connection);
  const schema = schemaSum(connection);
  let changes = seal?.changes ?? 0;
  let isWritten = isCovered;
  connection.function("seal_row", { varargs: true }, (...row) => {
    mix(sum, hashOf(row));
    isWritten = false;
    return null;
  });
  for (const table of tablesOf(connection)) watchTable(connection, table);
  const write = connection.prepare(
    "INSERT INTO seal (id, changes, event, sum, own) VALUES (1, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET " +
      "changes = excluded.changes, event = excluded.event, sum = excluded.sum, own = excluded.own",
  );
  return {
    changes: () => changes,
    counted(work) {
      const before = { sum: Buffer.from(sum), changes, isWritten };
      try {
        return work();
      } catch (error) {
        before.sum.copy(sum);
        ({ changes, isWritten } = before);
        throw error;
      }
    },
    write() {
      if (isWritten) return;
      changes += 1;
      isWritten = true;
      const row = { changes, event: lastEvent(connection), sum: textOf(sum, schema) };
      write.run(row.changes, row.event, row.sum, ownOf(row));
    },
  };
}

/** Whether a database has room for a seal: those of older hostds have not. */
function hasSeal(connection: DatabaseSync): boolean {
  return connection.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'seal'").get() !== undefined;
}

/** The seal as it was last written; undefined before that. Throws where it is not what hostd wrote. */
export function readSeal(connection: DatabaseSync): SealRow | undefined {
  const [found, ...more] = connection.prepare("SELECT changes, event, sum, own FROM seal").all();
  if (found === undefined) return undefined;
  const row = sealRow.safeParse(found).data;
  if (row === undefined || more.length > 0 || row.own !== ownOf(row))
    throw new Error("the seal is not what was written");
  return row;
}

/**
 * What is wrong with a database, in words; undefined where it holds exactly what its seal says. `mark`: how many
 * transactions it had when it was last written to, where that is known. Throws where it cannot be read at all.
 */
export function findDamage(connection: DatabaseSync, mark: number | undefined): string | undefined {
  const found = connection.prepare("PRAGMA integrity_check(1)").get()?.["integrity_check"];
  if (found !== "ok") return String(found);
  const seal = hasSeal(connection) ? readSeal(connection) : undefined;
  if (seal === undefined) return mark === undefined ? undefined : "its seal is gone";
  if (mark !== undefined && mark > seal.changes) return `its last ${mark - seal.changes} changes are gone`;
  if (lastEvent(connection) > seal.event) return undefined; // an older hostd wrote to it
  const sum = textOf(sumOf(connection), schemaSum(connection));
  return sum === seal.sum ? undefined : "a row is not what was written";
}

function lastEvent(connection: DatabaseSync): number {
  return Number(connection.prepare("SELECT coalesce(max(id), 0) AS event FROM events").get()?.["event"]);
}

function watchTable(connection: DatabaseSync, table: string): void {
  const columns = columnsOf(connection, table);
  const row = (of: "OLD" | "NEW") => `seal_row('${table}', ${columns.map((name) => `${of}.${name}`).join(", ")})`;
  const rows = { INSERT: [row("NEW")], UPDATE: [row("OLD"), row("NEW")], DELETE: [row("OLD")] };
  for (const [action, counted] of Object.entries(rows)) {
    connection.exec(
      `CREATE TEMP TRIGGER seal_${table}_${action} AFTER ${action} ON main.${table} BEGIN SELECT ${counted}; END`,
    );
  }
}

function sumOf(connection: DatabaseSync): Buffer {
  const sum = Buffer.alloc(WIDTH);
  for (const table of tablesOf(connection)) {
    const columns = columnsOf(connection, table);
    const rows = connection.prepare(`SELECT ${columns.join(", ")} FROM ${table} NOT INDEXED`);
    for (const row of rows.iterate()) mix(sum, hashOf([table, ...columns.map((name) => row[name] ?? null)]));
  }
  return sum;
}

/** Tables, indexes and triggers are rows as well; only a migration changes them. */
function schemaSum(connection: DatabaseSync): Buffer {
  const sum = Buffer.alloc(WIDTH);
  const rows = connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_master").all();
  for (const row of rows) mix(sum, hashOf(Object.values(row)));
  return sum;
}

function tablesOf(connection: DatabaseSync): string[] {
  const sql =
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'seal' AND name NOT LIKE 'sqlite%' ORDER BY name";
  return connection
    .prepare(sql)
    .all()
    .map(({ name }) => String(name));
}

function columnsOf(connection: DatabaseSync, table: string): string[] {
  return connection
    .prepare(`PRAGMA table_info(${table})`)
    .all()
    .map(({ name }) => String(name));
}

function hashOf(row: readonly (SQLInputValue | undefined)[]): Buffer {
  return hash("sha256", JSON.stringify(row), "buffer");
}

function mix(sum: Buffer, row: Buffer): void {
  for (let index = 0; index < WIDTH; index++) sum[index] = (sum[index] ?? 0) ^ (row[index] ?? 0);
}

function textOf(rows: Buffer, schema: Buffer): string {
  return `${rows.toString("hex")} ${schema.toString("hex")}`;
}

function ownOf({ changes, event, sum }: Omit<SealRow, "own">): string {
  return hash("sha256", `${changes} ${event} ${sum}`).slice(0, 2 * WIDTH);
}
