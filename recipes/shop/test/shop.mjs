import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A data directory with a config file in it, removed when the test ends. */
export function makeHome(test) {
  const home = mkdtempSync(join(tmpdir(), "shop-"));
  test.after(() => rmSync(home, { recursive: true, force: true }));
  writeFileSync(join(home, "config.json"), '{"greeting":"Good morning"}');
  return home;
}

/** The real server as a process of its own on a free port; stopped when the test ends. Resolves once it listens. */
export async function startShop(test, home, environment = {}) {
  const shop = spawnProgram(home, "server.mjs", { PORT: "0", ...environment });
  test.after(() => shop.process.kill("SIGKILL"));
  const port = await new Promise((resolve, reject) => {
    shop.onLine((line) => {
      const serving = /serves schema \d+ on port (\d+)/.exec(line);
      if (serving) resolve(Number(serving[1]));
    });
    shop.ended.then(({ code, output }) => reject(new Error(`shop ended with ${code}: ${output}`)));
  });
  return { ...shop, port, url: `http://127.0.0.1:${port}` };
}

/** Runs one of the shop's programs to its end. */
export function runProgram(home, program) {
  return spawnProgram(home, program, { PORT: "0" }).ended;
}

/** Places an order and returns the answer's status and body. */
export async function order(url, body) {
  const response = await fetch(`${url}/orders`, { method: "POST", body: JSON.stringify(body) });
  return { status: response.status, body: await response.json() };
}

function spawnProgram(home, program, environment) {
  const file = fileURLToPath(new URL(`../src/${program}`, import.meta.url));
  const child = spawn(process.execPath, [file], {
    env: { SHOP_DATA: home, SHOP_CONFIG: join(home, "config.json"), ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines = [];
  const listeners = [(line) => lines.push(line)];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      for (const listen of listeners) listen(line);
    });
  }
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, output: lines.join("\n") }));
  return { process: child, onLine: (listen) => listeners.push(listen), ended };
}
