import { chmod, mkdir, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import { connect, type Socket } from "node:net";
import { dirname } from "node:path";
import type * as z from "zod";
import { hasErrno } from "../../effects/errno.ts";
import { DOCUMENT_LIMITS, DocumentError } from "../../manifests/document.ts";
import { type FailureDocument, toFailureDocument } from "../../manifests/failure.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { LONGEST_WAIT, limitCallers } from "./callers.ts";
import { findRoute, parseTarget } from "./target.ts";

/** What one caller may take, so that none can stop hostd from serving the others. Milliseconds where times. */
const LIMITS = {
  body: DOCUMENT_LIMITS.apiRequest,
  headers: 16 * 1024,
  headersTimeout: 5_000,
  requestTimeout: 15_000,
  idle: LONGEST_WAIT + 15_000,
  connections: 128,
  /** How often Node looks for late callers, as seldom as it can: limitCallers lets them go without waking hostd. */
  late: 2 ** 31 - 1,
} as const;

/** Longest message about a request, characters: it may quote what was sent. */
const MESSAGE_LIMIT = 2_000;
const STATUS = { failed: 500, usage: 400, refused: 403, busy: 409 } as const;

export interface Serving {
  close(): Promise<void>;
}

/** Serves the route table on a unix socket that only its owner may open. Refuses a socket somebody answers on. */
export async function serveApi(engine: Engine, socket: string): Promise<Serving> {
  return await serveOn(socket, (request, response) => {
    answer(engine, request, response).catch((error) => {
      engine.log("error", "request failed", { url: request.url, ...toFailureDocument(error) });
      response.destroy();
    });
  });
}

/** Answers every question with the one reason why this hostd does nothing. */
export async function serveRefusal(failure: FailureDocument, socket: string): Promise<Serving> {
  return await serveOn(socket, (request, response) => {
    request.resume();
    send(response, statusOf(failure), { error: failure });
  });
}

async function serveOn(
  socket: string,
  listener: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Serving> {
  await mkdir(dirname(socket), { recursive: true });
  await takeSocket(socket);
  const limits = { maxHeaderSize: LIMITS.headers, connectionsCheckingInterval: LIMITS.late };
  const server = createServer({ ...limits, requireHostHeader: false }, listener); // its refusal would have no document
  // Who closes its side once it has asked waits for the answer (nc -N, socat); Node's types do not know the name.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on("clientError", refuseUnparsed);
  server.on("checkExpectation", (_, response) => send(response, 417, { error: toFailureDocument(unexpected()) }));
  server.timeout = LIMITS.idle;
  server.maxRequestsPerSocket = 1; // nobody queues up requests behind each other
  limitCallers(server, LIMITS);
  await listen(server, socket);
  return {
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      await rm(socket, { force: true });
    },
  };
}

async function answer(engine: Engine, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    requireHost(request);
    const { words, query } = parseTarget(request.url ?? "");
    const { ROUTES } = await import("./routes.ts"); // their schemas take more memory than all of an idle hostd's state
    const { found, parameters } = findRoute(ROUTES, request.method ?? "", words);
    if (found.method === "GET") refuseBody(request);
    const call = {
      engine,
      parameters: check(found.parameters, parameters, "path"),
      query: check(found.query, query, "query"),
      body: check(found.body, found.method === "POST" ? await readBody(request) : {}, "body"),
    };
    const answered = await withoutHurry(request.socket, async () => await found.run(call));
    if (found.media === undefined) send(response, found.status, answered);
    else sendBytes(response, found.status, found.media, Buffer.from(String(answered)));
  } catch (error) {
    if (hasErrno(error, "ECONNRESET") && !request.complete) return; // the caller left, or was cut, in the middle of asking
    const failure = toFailureDocument(error);
    if (failure.code === "internal")
      engine.log("error", "request failed", { url: request.url, stack: (error as Error).stack });
    send(response, statusOf(failure), { error: failure });
  }
}

function check(schema: z.ZodType, value: unknown, what: string): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = result.error.issues.map((issue) => `${issue.path.join(".") || what}: ${issue.message}`);
  throw new HostdError("bad-request", `${what}: ${fields.join("; ")}`.slice(0, MESSAGE_LIMIT));
}

/**
 * Answers what Node's parser does not take: no request comes of it, so the document is written on the connection itself.
 * A caller that left, or whose answer has begun, is cut.
 */
function refuseUnparsed(error: Error & { code?: string; reason?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable || socket.bytesWritten > 0) return void socket.destroy();
  const [status, message] =
    error.code === "HPE_HEADER_OVERFLOW"
      ? [431, `headers: expected at most ${LIMITS.headers} bytes`]
      : [400, `request: expected well-formed HTTP/1.1, got ${error.reason ?? error.message}`];
  const body = `${JSON.stringify({ error: toFailureDocument(new HostdError("bad-request", message)) })}\n`;
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`;
  socket.write(head + body);
  socket.destroySoon();
}

function unexpected(): HostdError {
  return new HostdError("bad-request", "expect: expected 100-continue or nothing");
}

function requireHost({ httpVersion, headers }: IncomingMessage): void {
  if (httpVersion !== "1.1" || headers.host !== undefined) return;
  throw new HostdError("bad-request", "host: expected one in a request of HTTP/1.1, found none");
}

/** A body that nobody reads would be taken for the next request by whoever parses otherwise. */
function refuseBody({ headers }: IncomingMessage): void {
  if (headers["transfer-encoding"] === undefined && Number(headers["content-length"] ?? 0) === 0) return;
  throw new HostdError("bad-request", "request: expected a GET without a body");
}

/** Nobody is idle while hostd works for them: fsck of a full disk takes as long as it takes. */
async function withoutHurry<T>(socket: Socket, work: () => Promise<T>): Promise<T> {
  socket.setTimeout(0);
  try {
    return await work();
  } finally {
    socket.setTimeout(LIMITS.idle);
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LIMITS.body) {
      throw new DocumentError("too-large", `request: expected at most ${LIMITS.body} bytes`);
    }
    chunks.push(chunk);
  }
  if (size === 0) return {};
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks)));
  } catch (cause) {
    throw new HostdError("bad-request", `request: expected UTF-8 JSON, got ${(cause as Error).message}`, { cause });
  }
}

function statusOf(failure: FailureDocument): number {
  if (failure.code === "unknown-route" || failure.code.startsWith("unknown-")) return 404;
  if (failure.code === "too-large") return 413;
  return STATUS[failure.outcome];
}

function send(response: ServerResponse, status: number, value: unknown): void {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(`${JSON.stringify(value)}\n`);
  sendBytes(response, status, "application/json", bytes);
}

/** An answer ends its connection: what comes after a request on that may be anything. */
function sendBytes(response: ServerResponse, status: number, media: string, bytes: Buffer): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { "content-type": media, "content-length": bytes.length, connection: "close" });
  response.end(bytes);
}

/** Makes room for a socket of that name; refuses where somebody answers on it. */
async function takeSocket(socket: string): Promise<void> {
  await refuseAnswered(socket);
  await rm(socket, { force: true });
}

/** Refuses where somebody answers on a socket, also one who has no time for it; changes nothing. */
export async function refuseAnswered(socket: string): Promise<void> {
  const answered = await new Promise<boolean>((resolve) => {
    const probe = connect(socket, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on("error", (error) => resolve(hasErrno(error, "EAGAIN")));
  });
  if (answered) {
    throw new HostdError("already-running", `${socket}: another hostd answers there`, { hint: "hostd status asks it" });
  }
}

async function listen(server: Server, socket: string): Promise<void> {
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(socket, () => resolve());
    });
  } finally {
    process.umask(before);
  }
  await chmod(socket, 0o600);
}
