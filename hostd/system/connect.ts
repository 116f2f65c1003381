import { createConnection } from "node:net";

/** A TCP address of this node, as anybody outside an app reaches it. */
export interface Address {
  host: string;
  port: number;
}

/** Whether a connection is taken now; whatever hinders it within `timeout` milliseconds is a no. */
export function canConnect({ host, port }: Address, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: host === "localhost" ? "127.0.0.1" : host, port });
    const settle = (taken: boolean) => {
      socket.destroy();
      resolve(taken);
    };
    socket.setTimeout(timeout, () => settle(false));
    socket.once("connect", () => settle(true));
    socket.on("error", () => settle(false));
  });
}
