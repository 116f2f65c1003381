import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * Keeps the number of open connections below a limit, so that nobody who holds many keeps others out: where one more
 * comes, the oldest goes that asks nothing, has not asked to the end, or does not take its answer; where all are being
 * worked for, the new one does.
 */
export function limitCallers(server: Server, limit: number): void {
  const open = new Set<Socket>();
  const asked = new Map<Socket, Exchange>();

  server.on("connection", (socket: Socket) => {
    if (open.size >= limit) {
      const oldest = oldestOf(open, asked);
      if (oldest === undefined) return void socket.destroy();
      open.delete(oldest);
      oldest.destroy();
    }
    open.add(socket);
    socket.once("close", () => {
      open.delete(socket);
      asked.delete(socket);
    });
  });

  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    asked.set(socket, { request, response });
    response.once("close", () => {
      if (asked.get(socket)?.request === request) asked.delete(socket);
    });
  });
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

/** The connection that is open longest among those that hostd is not working for. */
function oldestOf(open: ReadonlySet<Socket>, asked: ReadonlyMap<Socket, Exchange>): Socket | undefined {
  for (const socket of open) {
    const exchange = asked.get(socket);
    if (exchange === undefined || !exchange.request.complete || exchange.response.writableEnded) return socket;
  }
  return undefined;
}
