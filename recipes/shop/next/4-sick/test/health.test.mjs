import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/database.mjs";
import { SCHEMA } from "../src/migrations.mjs";
import { openPool } from "../src/pool.mjs";
import { version } from "../src/version.mjs";
import { makeHome, order, startShop } from "./shop.mjs";

test("a healthy shop says its version, its schema and its last order", async (t) => {
  const { url } = await startShop(t, makeHome(t));
  await order(url, { item: "tea", quantity: 1 });
  const response = await fetch(`${url}/healthz`);
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { status: "ok", version, schema: SCHEMA, last: 1 });
});

test("a shop whose data changed to another schema under it is not healthy", async (t) => {
  const home = makeHome(t);
  const { url } = await startShop(t, home);
  const other = connect(home);
  other.exec(`PRAGMA user_version = ${SCHEMA + 1}`);
  other.close();
  assert.equal((await fetch(`${url}/healthz`)).status, 500);
});

test("a pool lends a connection again that was given back, and no more than it has", () => {
  let opened = 0;
  const pool = openPool(() => ({ number: ++opened }), 2);
  pool.giveBack(pool.take());
  assert.deepEqual([pool.take(), pool.take()], [{ number: 1 }, { number: 2 }]);
  assert.throws(() => pool.take(), /all 2 database connections are in use/);
});
