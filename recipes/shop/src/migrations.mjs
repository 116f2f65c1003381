/** Schemas this version can open, as the recipe's DATA line says it. */
export const READS = ">=1 <2";

/** Step n brings a database from schema n to schema n + 1; each runs inside the migration's transaction. */
export const MIGRATIONS = [createOrders];

/** The schema this version writes. */
export const SCHEMA = MIGRATIONS.length;

function createOrders(database) {
  database.exec(`
    CREATE TABLE orders (
      id INTEGER PRIMARY KEY,
      item TEXT NOT NULL,
      quantity INTEGER NOT NULL CHECK (quantity > 0),
      created TEXT NOT NULL
    ) STRICT`);
}
