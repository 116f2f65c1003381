import { connect, schemaOf } from "./database.mjs";
import { SCHEMA } from "./migrations.mjs";

/**
 * The health of the data: each check opens the database file anew, so that a lost or damaged one is seen although the
 * server's own connection still works, takes the write lock, and reads. `check` throws what is wrong.
 */
export function openHealth(directory) {
  return {
    check() {
      const database = connect(directory);
      try {
        database.exec("BEGIN IMMEDIATE");
        return look(database);
      } finally {
        database.close();
      }
    },
    close() {},
  };
}

function look(database) {
  const schema = schemaOf(database);
  if (schema !== SCHEMA) throw new Error(`expected data of schema ${SCHEMA}, got ${schema}`);
  const { last } = database.prepare("SELECT max(id) AS last FROM orders").get();
  return { schema, last: last ?? 0 };
}
