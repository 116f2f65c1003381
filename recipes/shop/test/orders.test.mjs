import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseOrder } from "../src/orders.mjs";
import { makeHome, order, startShop } from "./shop.mjs";

describe("an order", () => {
  test("is an item and a quantity, with blanks around the item dropped", () => {
    assert.deepEqual(parseOrder({ item: " tea ", quantity: 2 }), { item: "tea", quantity: 2 });
  });

  for (const [title, body] of [
    ["without an item", { quantity: 1 }],
    ["with a blank item", { item: "  ", quantity: 1 }],
    ["with an item of 65 characters", { item: "x".repeat(65), quantity: 1 }],
    ["of nothing", { item: "tea", quantity: 0 }],
    ["of half a piece", { item: "tea", quantity: 0.5 }],
    ["with the quantity as text", { item: "tea", quantity: "1" }],
    ["of more than 1000", { item: "tea", quantity: 1001 }],
    ["with a field that is not known", { item: "tea", quantity: 1, price: 0 }],
    ["that is not an object", [1]],
  ]) {
    test(`${title} is refused`, () => assert.throws(() => parseOrder(body), { name: "ZodError" }));
  }
});

test("orders get rising ids and come back one by one, and page by page", async (t) => {
  const { url } = await startShop(t, makeHome(t));
  for (const quantity of [1, 2, 3]) {
    const { status, body } = await order(url, { item: "tea", quantity });
    assert.equal(status, 201);
    assert.equal(body.id, quantity);
  }
  const one = await (await fetch(`${url}/orders/2`)).json();
  assert.equal(one.item, "tea");
  assert.equal(one.quantity, 2);
  const first = await (await fetch(`${url}/orders?limit=2`)).json();
  assert.deepEqual([first.count, first.orders.map(({ id }) => id), first.next], [3, [1, 2], 2]);
  const second = await (await fetch(`${url}/orders?limit=2&after=${first.next}`)).json();
  assert.deepEqual([second.orders.map(({ id }) => id), second.next], [[3], null]);
});

test("a wrong request is refused with the reason, and stores nothing", async (t) => {
  const { url } = await startShop(t, makeHome(t));
  const post = (body) => fetch(`${url}/orders`, { method: "POST", body });
  const refused = await order(url, { item: "tea", quantity: -1 });
  assert.equal(refused.status, 400);
  assert.match(refused.body.error, /quantity/);
  assert.equal((await post("{")).status, 400);
  assert.equal((await post("x".repeat(20_000))).status, 413);
  assert.equal((await fetch(`${url}/orders?limit=0`)).status, 400);
  assert.equal((await fetch(`${url}/orders/1`)).status, 404);
  assert.equal((await fetch(`${url}/nothing`)).status, 404);
  const wrongMethod = await fetch(`${url}/orders`, { method: "DELETE" });
  assert.equal(wrongMethod.status, 405);
  assert.equal(wrongMethod.headers.get("allow"), "GET, POST");
  assert.equal((await (await fetch(`${url}/orders`)).json()).count, 0);
});

test("the greeting comes from the config", async (t) => {
  const { url } = await startShop(t, makeHome(t));
  assert.equal(await (await fetch(url)).text(), "Good morning\n");
});
