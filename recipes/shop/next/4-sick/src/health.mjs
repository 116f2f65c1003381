import { connect, schemaOf } from "./database.mjs";
import { SCHEMA } from "./migrations.mjs";
import { openPool } from "./pool.mjs";

/** Enough connections for health checks that come together. */
const CONNECTIONS = 5;

/** The health of the data, looked at through a small pool of connections instead of a new one for each check. */
export function openHealth(directory) {
  const pool = openPool(() => connect(directory), CONNECTIONS);
  return {
    check() {
      const database = pool.take();
      const schema = schemaOf(database);
      if (schema === SCHEMA) return { schema, last: lastOrder(database) };
      pool.giveBack(database);
      throw new Error(`expected data of schema ${SCHEMA}, got ${schema}`);
    },
    close: pool.close,
  };
}

function lastOrder(database) {
  const { last } = database.prepare("SELECT max(id) AS last FROM orders").get();
  return last ?? 0;
}
