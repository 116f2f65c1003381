import { createServer } from "node:http";
import { openDatabase } from "./database.mjs";
import { prepareDrain } from "./drain.mjs";
import { openHealth } from "./health.mjs";
import { SCHEMA } from "./migrations.mjs";
import { openOrders } from "./orders.mjs";
import { createHandler } from "./routes.mjs";
import { dataDirectory, drainTimes, listenTarget, probePath, readConfig } from "./settings.mjs";
import { version } from "./version.mjs";

/** Connections that may wait while one version stops and the next one starts. */
const BACKLOG = 4_096;

try {
  serve(process.env);
} catch (error) {
  fail(error);
}

function serve(environment) {
  const { greeting } = readConfig(environment);
  const database = openDatabase(dataDirectory(environment));
  const health = openHealth(dataDirectory(environment));
  const server = createServer();
  const drain = prepareDrain(server, drainTimes(environment));
  const orders = openOrders(database);
  const handler = createHandler({ orders, health, greeting, isClosing: () => drain.closing });
  server.on("request", handler);
  server.on("error", fail);
  const probe = openProbe(probePath(environment), handler);
  const target = listenTarget(environment, process.pid);
  server.listen(target, BACKLOG, () => {
    const { port } = server.address();
    console.log(`shop ${version} serves schema ${SCHEMA} on port ${port}${target.fd === 3 ? " (handed over)" : ""}`);
  });

  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, stop);

  async function stop() {
    if (stopping) return;
    stopping = true;
    await drain.drain();
    probe?.close();
    health.close();
    database.close();
    console.log("shop: drained");
    process.exit(0);
  }
}

/** Answers this very process's health while another version accepts on the same port: a start-first switch asks here. */
function openProbe(path, handler) {
  if (path === undefined) return undefined;
  const probe = createServer(handler);
  probe.on("error", fail);
  return probe.listen(path);
}

function fail(error) {
  console.error(`shop: ${error.message}`);
  process.exit(1);
}
