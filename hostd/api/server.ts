import { chmod, mkdir, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { dirname } from "node:path";
import type * as z from "zod";
import { DOCUMENT_LIMITS, DocumentError } from "../../manifests/document.ts";
import { type FailureDocument, toFailureDocument } from "../../manifests/failure.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { toOpenApi } from "./openapi.ts";
import { LONGEST_WAIT } from "./read-routes.ts";
import type { Route } from "./route.ts";
import { ROUTES } from "./routes.ts";

/** What one caller may take, so that none can stop hostd from serving the others. Milliseconds where times. */
const LIMITS = {
  body: DOCUMENT_LIMITS.apiRequest,
  headers: 16 * 1024,
  headersTimeout: 5_000,
  requestTimeout: 15_000,
  idle: LONGEST_WAIT + 15_000,
  connections: 64,
  /** How often late callers are looked for. */
  late: 5_000,
} as const;

const STATUS = { failed: 500, usage: 400, refused: 403, busy: 409 } as const;

/** Serves the route table on a unix socket that only its owner may open. Refuses a socket somebody answers on. */
export async function serveApi(engine: Engine, socket: string): Promise<{ close(): Promise<void> }> {
  await mkdir(dirname(socket), { recursive: true });
  await takeSocket(socket);
  const server = createServer(
    { maxHeaderSize: LIMITS.headers, connectionsCheckingInterval: LIMITS.late },
    (request, response) => {
      answer(engine, request, response).catch((error) => {
        engine.log("error", "request failed", { url: request.url, ...toFailureDocument(error) });
        response.destroy();
      });
    },
  );
  server.headersTimeout = LIMITS.headersTimeout;
  server.requestTimeout = LIMITS.requestTimeout;
  server.timeout = LIMITS.idle;
  server.maxConnections = LIMITS.connections;
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
    const url = new URL(request.url ?? "/", "http://hostd");
    if (url.pathname === "/v1/openapi.json") return send(response, 200, toOpenApi(ROUTES, "1"));
    const { found, parameters } = findRoute(request.method ?? "", url.pathname);
    const call = {
      engine,
      parameters: check(found.parameters, parameters, "path"),
      query: check(found.query, Object.fromEntries(url.searchParams), "query"),
      body: check(found.body, found.method === "POST" ? await readBody(request) : {}, "body"),
    };
    send(response, found.status, await found.run(call));
  } catch (error) {
    const failure = toFailureDocument(error);
    if (failure.code === "internal")
      engine.log("error", "request failed", { url: request.url, stack: (error as Error).stack });
    send(response, statusOf(failure), { error: failure });
  }
}

function findRoute(method: string, path: string): { found: Route; parameters: Record<string, string> } {
  const words = path.split("/");
  for (const entry of ROUTES) {
    const pattern = entry.path.split("/");
    if (entry.method !== method || pattern.length !== words.length) continue;
    const parameters: Record<string, string> = {};
    const matches = pattern.every((word, index) => {
      const given = words[index] ?? "";
      if (!word.startsWith("{")) return word === given;
      parameters[word.slice(1, -1)] = decode(given);
      return true;
    });
    if (matches) return { found: entry, parameters };
  }
  throw new HostdError("unknown-route", `expected a route of the API, got ${method} ${path}`, {
    hint: "GET /v1/openapi.json describes them",
  });
}

function decode(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    throw new HostdError("bad-request", `expected a well-formed path, got ${JSON.stringify(word)}`);
  }
}

function check(schema: z.ZodType, value: unknown, what: string): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = result.error.issues.map((issue) => `${issue.path.join(".") || what}: ${issue.message}`);
  throw new HostdError("bad-request", `${what}: ${fields.join("; ")}`);
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
  if (response.headersSent || response.destroyed) return;
  const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
  const close = status === 413 ? { connection: "close" } : {};
  response.writeHead(status, { "content-type": "application/json", "content-length": bytes.length, ...close });
  response.end(bytes);
}

async function takeSocket(socket: string): Promise<void> {
  const answered = await new Promise<boolean>((resolve) => {
    const probe = connect(socket, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on("error", () => resolve(false));
  });
  if (answered) {
    throw new HostdError("already-running", `${socket}: another hostd answers there`, { hint: "hostd status asks it" });
  }
  await rm(socket, { force: true });
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
