import { priceOf } from "./prices.mjs";

/** Schemas this version can open, as the recipe's DATA line says it. */
export const READS = ">=1 <3";

/** Step n brings a database from schema n to schema n + 1; each runs inside the migration's transaction. */
export const MIGRATIONS = [createOrders, addTotals];

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

/** Every order gets its total at list price; the table is made anew, since the column may not be empty. */
function addTotals(database) {
  database.function("price_of", { deterministic: true }, priceOf);
  database.exec(`
    CREATE TABLE orders_with_totals (
      id INTEGER PRIMARY KEY,
      item TEXT NOT NULL,
      quantity INTEGER NOT NULL CHECK (quantity > 0),
      total_cents INTEGER NOT NULL CHECK (total_cents >= 0),
      created TEXT NOT NULL
    ) STRICT;
    INSERT INTO orders_with_totals (id, item, quantity, total_cents, created)
      SELECT id, item, quantity, price_of(item) * quantity, created FROM orders;
    DROP TABLE orders;
    ALTER TABLE orders_with_totals RENAME TO orders`);
}
