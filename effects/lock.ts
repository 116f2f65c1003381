import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Failure } from "../manifests/failure.ts";
import { hasErrno } from "./errno.ts";

const RETRY_MS = 20;

/** Another process holds the lock and did not give it back in time. */
class LockError extends Failure {
  declare readonly code: "locked";
  constructor(path: string, waited: number) {
    super("busy", "locked", `${path}: another command has been changing it for ${waited} ms`, {
      hint: "try again when that command has ended",
    });
  }
}

/**
 * Runs `use` while no other process of this machine runs it for the same path; its directory must exist. The lock is
 * an abstract unix socket, so the kernel takes it back when the holder dies. Throws LockError after `wait` ms.
 */
export async function withLock<T>(path: string, use: () => Promise<T>, wait = 10_000): Promise<T> {
  const server = await acquire(await lockName(path), path, wait);
  try {
    return await use();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

async function acquire(name: string, path: string, wait: number): Promise<Server> {
  const until = Date.now() + wait;
  for (;;) {
    const server = await listen(name);
    if (server !== undefined) return server;
    if (Date.now() >= until) throw new LockError(path, wait);
    await delay(RETRY_MS);
  }
}

/** The listening server, or undefined where another one has the name. */
async function listen(name: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  return await new Promise((resolve, reject) => {
    server.once("error", (error) => (hasErrno(error, "EADDRINUSE") ? resolve(undefined) : reject(error)));
    server.listen(name, () => resolve(server));
  });
}

async function lockName(path: string): Promise<string> {
  const real = join(await realpath(dirname(path)), basename(path));
  return `\0ostler-${createHash("sha256").update(real).digest("hex").slice(0, 32)}`;
}
