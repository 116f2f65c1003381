import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeLoad, findLostOrders, startLoad } from "../../load.ts";
import { describeWith } from "../../needs.ts";
import { withHolder } from "./holder.ts";
import { commandOf, ROOT } from "./version.ts";

const SWAPS = 20;
const CLIENTS = 8;
const SERVER = commandOf(join(ROOT, "recipes/shop"), "server.mjs");

describeWith({ programs: ["perl"] }, "the shop on a socket that outlives it", () => {
  let home = "";
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "ostler-drain-"));
    writeFileSync(join(home, "config.json"), '{"greeting":"hello"}');
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  for (const kind of ["fresh", "keep-alive"] as const) {
    test(`${SWAPS} stops and starts under load fail no request and lose no order: ${kind} connections`, async () => {
      await withHolder({ SHOP_DATA: home, SHOP_CONFIG: join(home, "config.json") }, async ({ port, replace, log }) => {
        await replace(SERVER);
        const stopLoad = new AbortController();
        const load = startLoad({ port, clients: CLIENTS, kind, until: stopLoad.signal });
        const endings: string[] = [];
        for (let swap = 0; swap < SWAPS; swap += 1) {
          await answered(port);
          await sleep(50);
          endings.push(await replace(SERVER));
        }
        await answered(port);
        stopLoad.abort();
        const report = await load;

        expect(endings, log()).toEqual(Array(SWAPS).fill("exit 0"));
        expect(report.failed, describeLoad(report)).toEqual([]);
        expect(report.ok).toBe(report.sent);
        expect(report.acknowledged.length).toBeGreaterThan(SWAPS * CLIENTS);
        expect(await findLostOrders(port, report.acknowledged)).toEqual([]);
        const { count } = (await (await fetch(`http://127.0.0.1:${port}/orders`)).json()) as { count: number };
        expect(count).toBe(report.acknowledged.length);
        console.log(`${SWAPS} swaps, ${CLIENTS} clients, ${kind}: ${describeLoad(report)}`);
      });
    }, 60_000);
  }
});

/** Resolves once the shop of the moment has answered: requests wait in the socket's queue while none runs. */
async function answered(port: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, { headers: { connection: "close" } });
  expect(response.status).toBe(200);
  await response.arrayBuffer();
}
