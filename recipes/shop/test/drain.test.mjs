import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeHome, startShop } from "./shop.mjs";

/** So long that a test which waits for it fails by its time. */
const NEVER = "60000";
const BODY = '{"item":"tea","quantity":1}';

describe("after SIGTERM", { concurrency: true }, () => {
  test("a connection in use is told to close, the data is closed, and the shop ends with 0", async (t) => {
    const home = makeHome(t);
    const shop = await startShop(t, home, { SHOP_DRAIN_GRACE: NEVER, SHOP_DRAIN_LIMIT: NEVER });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    assert.equal((await get(shop, agent)).connection, "keep-alive");
    shop.process.kill("SIGTERM");
    while ((await get(shop, agent)).connection !== "close") await sleep(20);
    const { code, output } = await shop.ended;
    assert.equal(code, 0);
    assert.match(output, /shop: drained/);
    assert.equal(existsSync(join(home, "orders.db-wal")), false);
  });

  test("a request that is still being sent is waited for", async (t) => {
    const shop = await startShop(t, makeHome(t), { SHOP_DRAIN_GRACE: "100", SHOP_DRAIN_LIMIT: NEVER });
    const socket = await beginOrder(t, shop);
    shop.process.kill("SIGTERM");
    await refused(shop);
    await sleep(300);
    socket.write(BODY);
    assert.match(await text(socket), /^HTTP\/1.1 201 Created\r\n(?:.*\r\n)*connection: close\r\n/i);
    assert.equal((await shop.ended).code, 0);
  });

  test("connections that are idle, or never used, are closed after the grace", async (t) => {
    const shop = await startShop(t, makeHome(t), { SHOP_DRAIN_GRACE: "300", SHOP_DRAIN_LIMIT: NEVER });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const unused = connect(shop.port, "127.0.0.1").on("error", () => undefined);
    t.after(() => {
      agent.destroy();
      unused.destroy();
    });
    await get(shop, agent);
    const before = performance.now();
    shop.process.kill("SIGTERM");
    assert.equal((await shop.ended).code, 0);
    assert.ok(performance.now() - before >= 250);
  });

  test("a request that never ends is cut at the limit", async (t) => {
    const shop = await startShop(t, makeHome(t), { SHOP_DRAIN_GRACE: "100", SHOP_DRAIN_LIMIT: "400" });
    const socket = await beginOrder(t, shop);
    shop.process.kill("SIGTERM");
    assert.equal(await text(socket), "");
    assert.equal((await shop.ended).code, 0);
  });
});

/** The headers of an order, on a connection of its own; the shop has read them and waits for the body. */
async function beginOrder(test, { port }) {
  const socket = connect(port, "127.0.0.1");
  test.after(() => socket.destroy());
  socket.write(`POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: ${BODY.length}\r\nExpect: 100-continue\r\n\r\n`);
  const [answer] = await once(socket, "data");
  assert.equal(String(answer), "HTTP/1.1 100 Continue\r\n\r\n");
  return socket;
}

/** Resolves once the shop takes no new connections. */
async function refused({ port }) {
  while (await isAccepted(port)) await sleep(20);
}

function isAccepted(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => socket.destroy());
    socket.once("error", () => undefined);
    socket.once("close", (failed) => resolve(!failed));
  });
}

function get({ port }, agent) {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: "127.0.0.1", path: "/orders", agent }, (response) => {
      response.resume().on("end", () => resolve(response.headers));
    });
    sent.on("error", reject).end();
  });
}
