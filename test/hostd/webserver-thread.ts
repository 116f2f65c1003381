import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, normalize } from "node:path";
import { parentPort, workerData } from "node:worker_threads";

// The thread of webserver.ts: whole files, and the rest of one from an offset on. Tells its port.

const directory = String(workerData);

const server = createServer((request, response) => {
  const path = join(directory, normalize(`/${decodeURIComponent(request.url ?? "")}`));
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile() !== true) {
    response.writeHead(404).end();
    return;
  }
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const range = { "content-range": `bytes ${start}-${found.size - 1}/${found.size}` };
  response.writeHead(start > 0 ? 206 : 200, { "content-length": found.size - start, ...(start > 0 ? range : {}) });
  createReadStream(path, { start })
    .on("error", () => response.destroy())
    .pipe(response);
});
server.listen(0, "127.0.0.1", () => parentPort?.postMessage((server.address() as AddressInfo).port));
