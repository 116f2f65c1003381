import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * Keeps the number of open connections below a limit, so that nobody who holds many keeps others out: where one more
 * comes, the oldest that is not being answered goes; where all are, the new one does.
 */
export function limitCallers(server: Server, limit: number): void {
  const open = new Set<Socket>();
  const answered = new Map<Socket, number>();

  server.on("connection", (socket: Socket) => {
    if (open.size >= limit) {
      const oldest = [...open].find((other) => !answered.has(other));
      if (oldest === undefined) return void socket.destroy();
      open.delete(oldest);
      oldest.destroy();
    }
    open.add(socket);
    socket.once("close", () => {
      open.delete(socket);
      answered.delete(socket);
    });
  });

  server.on("request", ({ socket }: { socket: Socket }, response: ServerResponse) => {
    answered.set(socket, (answered.get(socket) ?? 0) + 1);
    response.once("close", () => {
      const left = (answered.get(socket) ?? 1) - 1;
      if (left > 0) answered.set(socket, left);
      else answered.delete(socket);
    });
  });
}
