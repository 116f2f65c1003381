import { spawn } from "node:child_process";
import { mkdir, open } from "node:fs/promises";
import { createConnection } from "node:net";
import { dirname } from "node:path";
import { setTimeout } from "node:timers/promises";
import { hasErrno } from "../../effects/errno.ts";
import type { Listen } from "../../manifests/app.ts";
import { NodeError } from "./failure.ts";
import { decodeAnswer, encodeFields } from "./holder-protocol.ts";
import type { Paths } from "./paths.ts";
import { portInUse, whoListens } from "./port.ts";
import { PROGRAMS } from "./programs.ts";

/** Linux keeps a unix socket's path in 108 bytes with its end. */
export const SOCKET_PATH_LIMIT = 107;

/** A holder listens milliseconds after it took its lock; this long means that it cannot work. */
const START_LIMIT_MS = 10_000;

/** Starts an app's holder unless one lives, and gives it these sockets. */
export async function ensureHolder(paths: Paths, app: string, listen: readonly Listen[]): Promise<void> {
  const request = ["listen", ...listen.flatMap(({ address, port }) => [address, port])];
  try {
    if ((await askHolder(paths, app, request)) !== undefined) return;
    await startHolder(paths, app);
    if ((await askHolder(paths, app, request)) === undefined) throw holderGone(paths, app);
  } catch (error) {
    throw await describePort(app, error);
  }
}

/**
 * Sends one request and waits for its answer, however long that takes. Undefined where no holder lives; an answer of
 * `error` is thrown.
 */
export async function askHolder(
  paths: Paths,
  app: string,
  request: readonly (string | number)[],
): Promise<string[] | undefined> {
  const bytes = encodeFields(request);
  const answer = await exchange(socketPath(paths, app), bytes);
  return answer.length === 0 ? undefined : decodeAnswer(answer, app);
}

export function holderGone(paths: Paths, app: string): NodeError {
  return new NodeError("holder-failed", `${app}: its holder is gone`, {
    hint: `${paths.holderLog(app)} may say why; starting the app again starts it too`,
  });
}

async function startHolder(paths: Paths, app: string): Promise<void> {
  await mkdir(paths.appRun(app), { recursive: true, mode: 0o700 });
  await mkdir(dirname(paths.holderLog(app)), { recursive: true });
  const log = await open(paths.holderLog(app), "a");
  try {
    const child = spawn("perl", [PROGRAMS.holder, paths.appRun(app)], {
      cwd: "/",
      detached: true,
      stdio: ["ignore", "pipe", log.fd],
      env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin" },
    });
    child.unref();
    const { stdout } = child;
    const first = await new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("close", () => resolve("its end"));
      stdout?.once("data", (text: Buffer) => resolve(text.toString().trim()));
    });
    stdout?.destroy();
    if (first === "ready") return;
    if (first === "held" && (await becomesReady(paths, app))) return;
    throw new NodeError("holder-failed", `${app}: expected a ready holder, got ${JSON.stringify(first)}`, {
      hint: `${paths.holderLog(app)} may say why`,
    });
  } finally {
    await log.close();
  }
}

/** Another start was quicker, by so little that its holder may not listen yet. */
async function becomesReady(paths: Paths, app: string): Promise<boolean> {
  for (const end = Date.now() + START_LIMIT_MS; Date.now() < end; ) {
    if ((await askHolder(paths, app, ["status"])) !== undefined) return true;
    await setTimeout(10);
  }
  return false;
}

/** Empty where nobody listens, or where the holder was killed before it answered. */
async function exchange(path: string, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = createConnection({ path, allowHalfOpen: true });
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.once("end", () => {
      socket.destroy();
      resolve(Buffer.concat(chunks));
    });
    socket.once("error", (error) => {
      if (hasErrno(error, "ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE")) resolve(Buffer.alloc(0));
      else reject(error);
    });
    socket.end(request);
  });
}

function socketPath(paths: Paths, app: string): string {
  const path = paths.holderSocket(app);
  if (Buffer.byteLength(path) <= SOCKET_PATH_LIMIT) return path;
  throw new NodeError("path-too-long", `${path}: expected at most ${SOCKET_PATH_LIMIT} bytes for a unix socket`, {
    hint: "choose a shorter run directory: hostd serve --run DIR",
  });
}

async function describePort(app: string, error: unknown): Promise<unknown> {
  if (!(error instanceof NodeError) || error.code !== "port-in-use") return error;
  const [address = "", port] = (error.details?.["fields"] ?? []) as string[];
  return portInUse(app, { address, port: Number(port) }, await whoListens(Number(port)), error);
}
