import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { makeHome, startShop } from "./shop.mjs";

const GRACE = { SHOP_DRAIN_GRACE: "300", SHOP_DRAIN_LIMIT: "3000" };

test("after SIGTERM a connection in use gets its answer with `Connection: close`, and the shop ends with 0", async (t) => {
  const home = makeHome(t);
  const shop = await startShop(t, home, GRACE);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  assert.equal((await get(shop, agent)).headers.connection, "keep-alive");
  shop.process.kill("SIGTERM");
  await delay(50);
  const answer = await get(shop, agent);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.connection, "close");
  const { code, output } = await shop.ended;
  assert.equal(code, 0);
  assert.match(output, /shop: drained/);
  assert.equal(existsSync(join(home, "orders.db-wal")), false);
});

test("after SIGTERM a request that is still being sent is waited for", async (t) => {
  const shop = await startShop(t, makeHome(t), GRACE);
  const body = '{"item":"tea","quantity":1}';
  const socket = connect(shop.port, "127.0.0.1");
  t.after(() => socket.destroy());
  socket.write(`POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 5)}`);
  await delay(100);
  shop.process.kill("SIGTERM");
  await delay(600);
  socket.write(body.slice(5));
  assert.match(await allOf(socket), /^HTTP\/1.1 201 Created/);
  assert.equal((await shop.ended).code, 0);
});

test("connections that are idle, or never used, are closed after the grace", async (t) => {
  const shop = await startShop(t, makeHome(t), GRACE);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const unused = connect(shop.port, "127.0.0.1");
  t.after(() => {
    agent.destroy();
    unused.destroy();
  });
  await get(shop, agent);
  const before = performance.now();
  shop.process.kill("SIGTERM");
  assert.equal((await shop.ended).code, 0);
  const took = performance.now() - before;
  assert.ok(took >= 250 && took < 2_500, `took ${took} ms`);
});

test("a request that never ends is cut at the limit", async (t) => {
  const shop = await startShop(t, makeHome(t), { SHOP_DRAIN_GRACE: "100", SHOP_DRAIN_LIMIT: "400" });
  const socket = connect(shop.port, "127.0.0.1");
  t.after(() => socket.destroy());
  socket.write("POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 10\r\n\r\n");
  await delay(100);
  shop.process.kill("SIGTERM");
  assert.equal(await allOf(socket), "");
  assert.equal((await shop.ended).code, 0);
});

const delay = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function get({ port }, agent) {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: "127.0.0.1", path: "/orders", agent }, (response) => {
      response.resume().on("end", () => resolve({ status: response.statusCode, headers: response.headers }));
    });
    sent.on("error", reject).end();
  });
}

async function allOf(socket) {
  let text = "";
  socket.setEncoding("utf8").on("data", (piece) => {
    text += piece;
  });
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.on("close", resolve));
  return text;
}
