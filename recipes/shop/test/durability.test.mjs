import assert from "node:assert/strict";
import { test } from "node:test";
import { makeHome, order, startShop } from "./shop.mjs";

test("an order that was answered is there after kill -9", async (t) => {
  const home = makeHome(t);
  const killed = await startShop(t, home);
  const placed = await Promise.all(
    Array.from({ length: 25 }, (_, index) => order(killed.url, { item: `item ${index}`, quantity: index + 1 })),
  );
  killed.process.kill("SIGKILL");
  assert.equal((await killed.ended).signal, "SIGKILL");

  const { url } = await startShop(t, home);
  const { count, orders } = await (await fetch(`${url}/orders?limit=1000`)).json();
  assert.equal(count, 25);
  assert.deepEqual(
    orders,
    placed.map(({ body }) => body).sort((a, b) => a.id - b.id),
  );
});
