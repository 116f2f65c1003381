import { createServer } from "node:http";
import { openDatabase } from "./database.mjs";
import { prepareDrain } from "./drain.mjs";
import { openHealth } from "./health.mjs";
import { SCHEMA } from "./migrations.mjs";
import { openOrders } from "./orders.mjs";
import { createHandler } from "./routes.mjs";
import { dataDirectory, drainTimes, listenTarget, readConfig } from "./settings.mjs";
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
  server.on("request", createHandler({ orders, health, greeting, isClosing: () => drain.closing }));
  server.on("error", fail);
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
    health.close();
    database.close();
    console.log("shop: drained");
    process.exit(0);
  }
}

function fail(error) {
  console.error(`shop: ${error.message}`);
  process.exit(1);
}
