import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Longest that a caller may wait in one request for an operation to move, milliseconds. */
export const LONGEST_WAIT = 60_000;

/** Connections at once, and milliseconds from a connection's start until its headers, and its whole request, are here. */
interface CallerLimits {
  connections: number;
  headersTimeout: number;
  requestTimeout: number;
}

/**
 * Keeps the number of open connections below a limit, so that nobody who holds many keeps others out: where one more
 * comes, the oldest goes that asks nothing, has not asked to the end, does not take its answer, or has closed its side and
 * may be gone; where all are being worked for, the new one does. Who does not ask in time goes too: Node's own limits would wake an idle hostd for ever.
 */
export function limitCallers(server: Server, limits: CallerLimits): void {
  const open = new Map<Socket, Deadlines>();
  const asked = new Map<Socket, Exchange>();

  server.on("connection", (socket: Socket) => {
    if (open.size >= limits.connections) {
      const oldest = oldestOf(open.keys(), asked);
      if (oldest === undefined) return void socket.destroy();
      open.delete(oldest);
      oldest.destroy();
    }
    const [headers, request] = [limits.headersTimeout, limits.requestTimeout].map((limit) =>
      setTimeout(() => socket.destroy(), limit),
    );
    open.set(socket, { headers, request });
    socket.once("close", () => {
      clearTimeout(headers);
      clearTimeout(request);
      open.delete(socket);
      asked.delete(socket);
    });
  });

  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    clearTimeout(open.get(socket)?.headers);
    request.once("close", () => clearTimeout(open.get(socket)?.request));
    if (request.method === "GET") request.resume(); // else Node never says that it is whole, and a long wait would be cut
    asked.set(socket, { request, response });
    response.once("close", () => {
      if (asked.get(socket)?.request === request) asked.delete(socket);
    });
  });
}

/** What ends a connection whose caller does not ask in time. */
interface Deadlines {
  headers: NodeJS.Timeout | undefined;
  request: NodeJS.Timeout | undefined;
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

/** The connection that is open longest among those that hostd is not working for. */
function oldestOf(open: Iterable<Socket>, asked: ReadonlyMap<Socket, Exchange>): Socket | undefined {
  for (const socket of open) {
    const exchange = asked.get(socket);
    if (exchange === undefined || !exchange.request.complete || exchange.response.writableEnded) return socket;
    if (socket.readableEnded) return socket;
  }
  return undefined;
}
