import { Server } from "node:net";

/** How often connections are looked at once the grace is over, in milliseconds. */
const LOOK_EVERY = 50;

/**
 * Lets an HTTP server end without losing a request, while another process keeps its listening socket open.
 * `drain` stops accepting and resolves when the last connection is gone:
 * - at once: no new connections; each later response says `Connection: close` (`closing` tells the handler to);
 * - after `grace`: connections on which nothing is under way are closed;
 * - after `limit`: all others too.
 * http.Server.close would close idle connections at once, and so cut requests that are on their way.
 */
export function prepareDrain(server, { grace, limit }) {
  const unused = new Set();
  let closing = false;
  server.on("connection", (socket) => {
    unused.add(socket);
    socket.once("close", () => unused.delete(socket));
  });
  server.on("request", (request) => unused.delete(request.socket));

  return {
    get closing() {
      return closing;
    },
    async drain() {
      closing = true;
      const closed = new Promise((resolve) => Server.prototype.close.call(server, resolve));
      const timers = [
        setTimeout(() => timers.push(setInterval(() => setImmediate(closeQuiet), LOOK_EVERY)), grace),
        setTimeout(() => server.closeAllConnections(), limit),
      ];
      await closed;
      for (const timer of timers) clearTimeout(timer);
    },
  };

  /** Runs after the sockets were read (setImmediate), so that a request that has arrived is answered, not cut. */
  function closeQuiet() {
    server.closeIdleConnections();
    for (const socket of unused) if (socket.bytesRead === 0) socket.destroy();
  }
}
