import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { migrateData, openDatabase } from "../src/database.mjs";
import { SCHEMA } from "../src/migrations.mjs";
import { makeHome, runProgram } from "./shop.mjs";

test("a new data directory is brought to the present schema, and a second run does nothing", async (t) => {
  const home = makeHome(t);
  const first = await runProgram(home, "migrate.mjs");
  assert.deepEqual([first.code, first.output], [0, `schema 0 -> ${SCHEMA}`]);
  const second = await runProgram(home, "migrate.mjs");
  assert.deepEqual([second.code, second.output], [0, `schema ${SCHEMA}: nothing to do`]);
});

test("data of a newer schema is refused by server and migration, and stays as it was", async (t) => {
  const home = makeHome(t);
  openDatabase(home).close();
  const file = join(home, "orders.db");
  withDatabase(file, (database) => database.exec(`PRAGMA user_version = ${SCHEMA + 1}`));
  const bytes = readFileSync(file);
  for (const program of ["server.mjs", "migrate.mjs"]) {
    const { code, output } = await runProgram(home, program);
    assert.equal(code, 1);
    assert.match(output, new RegExp(`reads data of schema .*, got ${SCHEMA + 1}: a newer shop wrote it`));
  }
  assert.deepEqual(readFileSync(file), bytes);
});

test("a migration that fails leaves the data as it was", (t) => {
  const home = makeHome(t);
  const file = join(home, "orders.db");
  withDatabase(file, (database) => database.exec("CREATE TABLE orders (something TEXT)"));
  assert.throws(() => migrateData(home), /already exists/);
  withDatabase(file, (database) => {
    assert.equal(database.prepare("PRAGMA user_version").get().user_version, 0);
    assert.equal(database.prepare("SELECT count(*) AS columns FROM pragma_table_info('orders')").get().columns, 1);
  });
});

test("a config that is missing or wrong stops the server with the file's name", async (t) => {
  const home = makeHome(t);
  const { code, output } = await runProgram(join(home, "missing"), "server.mjs");
  assert.equal(code, 1);
  assert.match(output, /cannot use the config .*missing\/config\.json/);
});

function withDatabase(file, use) {
  const database = new DatabaseSync(file);
  use(database);
  database.close();
}
