import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { hasErrno } from "../effects/errno.ts";

/** Below the ports that the kernel gives to connections, so that none of those takes it before it is listened on. */
const [FIRST, END] = [10_000, 32_000];

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, END);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (error) {
    if (hasErrno(error, "EADDRINUSE")) return false;
    throw error;
  }
  await once(server.close(), "close");
  return true;
}
