import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { connect, schemaOf } from "../src/database.mjs";
import { totalOf } from "../src/prices.mjs";
import { makeHome, order, runProgram, startShop } from "./shop.mjs";

/** Written by version 1.0.0: orders 2 to 5. */
const FIXTURE = fileURLToPath(new URL("fixtures/orders-of-version-1.db", import.meta.url));

for (const [item, quantity, total] of [
  ["tea", 1, 240],
  ["Coffee", 3, 870],
  ["something else", 2, 1000],
]) {
  test(`${quantity} x ${item} costs ${total} cents`, () => assert.equal(totalOf({ item, quantity }), total));
}

describe("orders with totals", { concurrency: true }, () => {
  test("a new order has its total", async (t) => {
    const { url } = await startShop(t, makeHome(t));
    const { body } = await order(url, { item: "cake", quantity: 2 });
    assert.equal(body.total_cents, 840);
  });

  test("the orders of version 1 get their totals and lose nothing", async (t) => {
    const home = homeOfVersion1(t);
    const before = ordersIn(home);
    assert.deepEqual((await runProgram(home, "migrate.mjs")).output, "schema 1 -> 2");
    const totals = [870, 6_000, 420_000, 1_000];
    assert.deepEqual(
      ordersIn(home),
      before.map((one, index) => ({ ...one, total_cents: totals[index] })),
    );
    const { url } = await startShop(t, home);
    assert.equal((await order(url, { item: "tea", quantity: 1 })).body.id, 6);
  });

  test("the migration may run again at any time", async (t) => {
    const home = homeOfVersion1(t);
    await runProgram(home, "migrate.mjs");
    const { url } = await startShop(t, home);
    await order(url, { item: "tea", quantity: 1 });
    const before = ordersIn(home);
    const again = await runProgram(home, "migrate.mjs");
    assert.deepEqual([again.code, again.output], [0, "schema 2: nothing to do"]);
    assert.deepEqual(ordersIn(home), before);
  });

  test("a migration that fails half way leaves the orders of version 1 as they were", async (t) => {
    const home = homeOfVersion1(t);
    change(home, "CREATE TABLE orders_with_totals (in_the_way TEXT)");
    const before = ordersIn(home);
    const failed = await runProgram(home, "migrate.mjs");
    assert.equal(failed.code, 1);
    assert.match(failed.output, /migration failed, the data is as it was/);
    assert.deepEqual(ordersIn(home), before);
    change(home, "DROP TABLE orders_with_totals");
    assert.equal((await runProgram(home, "migrate.mjs")).output, "schema 1 -> 2");
  });

  test("the server refuses the orders of version 1 until they are migrated", async (t) => {
    const home = homeOfVersion1(t);
    const { code, output } = await runProgram(home, "server.mjs");
    assert.equal(code, 1);
    assert.match(output, /expected data of schema 2, got 1: run migrate.mjs before the server/);
    assert.equal(looking(home, schemaOf), 1);
  });
});

function homeOfVersion1(test) {
  const home = makeHome(test);
  copyFileSync(FIXTURE, join(home, "orders.db"));
  return home;
}

function ordersIn(home) {
  return looking(home, (database) => database.prepare("SELECT * FROM orders ORDER BY id").all()).map((row) => ({
    ...row,
  }));
}

function change(home, sql) {
  looking(home, (database) => database.exec(sql));
}

function looking(home, look) {
  const database = connect(home);
  try {
    return look(database);
  } finally {
    database.close();
  }
}
