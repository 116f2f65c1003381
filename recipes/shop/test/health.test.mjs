import assert from "node:assert/strict";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "../src/database.mjs";
import { SCHEMA } from "../src/migrations.mjs";
import { version } from "../src/version.mjs";
import { makeHome, order, startShop } from "./shop.mjs";

test("a healthy shop says its version, its schema and its last order", async (t) => {
  const { url } = await startShop(t, makeHome(t));
  await order(url, { item: "tea", quantity: 1 });
  const response = await fetch(`${url}/healthz`);
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { status: "ok", version, schema: SCHEMA, last: 1 });
});

test("a shop whose database file is lost is not healthy, and is again when the file is back", async (t) => {
  const home = makeHome(t);
  const { url } = await startShop(t, home);
  const file = join(home, "orders.db");
  renameSync(file, `${file}.away`);
  const lost = await fetch(`${url}/healthz`);
  assert.equal(lost.status, 500);
  assert.equal((await lost.json()).status, "failed");
  renameSync(`${file}.away`, file);
  assert.equal((await fetch(`${url}/healthz`)).status, 200);
});

test("a shop whose data changed to another schema under it is not healthy", async (t) => {
  const home = makeHome(t);
  const { url } = await startShop(t, home);
  const other = connect(home);
  other.exec(`PRAGMA user_version = ${SCHEMA + 1}`);
  other.close();
  assert.equal((await fetch(`${url}/healthz`)).status, 500);
});
