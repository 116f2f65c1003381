import * as z from "zod";
import { parseOrder } from "./orders.mjs";
import { version } from "./version.mjs";

/** The largest request body, in bytes. */
const BODY_LIMIT = 16_384;

const pageSchema = z.strictObject({
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1_000).default(20),
});

/** An answer that is not success: thrown by a route, turned into a response in one place. */
class Refusal extends Error {
  constructor(status, message, headers = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/** The request handler of the shop: every answer is JSON but the greeting. */
export function createHandler({ orders, health, greeting, isClosing }) {
  const routes = [
    ["GET", /^\/$/, () => ({ status: 200, text: `${greeting}\n` })],
    ["GET", /^\/healthz$/, () => healthAnswer(health)],
    ["GET", /^\/orders$/, ({ query }) => ({ status: 200, body: orders.list(pageSchema.parse(query)) })],
    ["POST", /^\/orders$/, async ({ request }) => added(orders.add(parseOrder(await readJson(request))))],
    ["GET", /^\/orders\/([1-9]\d{0,15})$/, ({ match }) => found(orders.find(Number(match[1])))],
  ];

  return async (request, response) => {
    const answer = await answerTo(routes, request).catch(answerToError);
    if (isClosing() || answer.close) response.setHeader("connection", "close");
    send(response, answer);
  };
}

async function answerTo(routes, request) {
  if (!URL.canParse(request.url, "http://shop")) throw new Refusal(400, "expected a path");
  const { pathname, searchParams } = new URL(request.url, "http://shop");
  const there = routes.filter(([, pattern]) => pattern.test(pathname));
  const method = request.method === "HEAD" ? "GET" : request.method;
  const route = there.find(([allowed]) => allowed === method);
  if (there.length === 0) throw new Refusal(404, `no such page: ${pathname}`);
  if (route === undefined) {
    const allow = there.map(([allowed]) => allowed).join(", ");
    throw new Refusal(405, `expected ${allow}, got ${request.method}`, { allow });
  }
  return await route[2]({ request, match: route[1].exec(pathname), query: Object.fromEntries(searchParams) });
}

function healthAnswer(health) {
  try {
    return { status: 200, body: { status: "ok", version, ...health.check() } };
  } catch (error) {
    console.error(`shop: health check failed: ${error.message}`);
    return { status: 500, body: { status: "failed", version, error: error.message } };
  }
}

function added(order) {
  return { status: 201, headers: { location: `/orders/${order.id}` }, body: order };
}

function found(order) {
  if (order === undefined) throw new Refusal(404, "no such order");
  return { status: 200, body: order };
}

async function readJson(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new Refusal(413, `expected at most ${BODY_LIMIT} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new Refusal(400, "expected JSON");
  }
}

function answerToError(error) {
  if (error instanceof Refusal) {
    return {
      status: error.status,
      headers: error.headers,
      body: { error: error.message },
      close: error.status === 413,
    };
  }
  if (error instanceof z.ZodError) return { status: 400, body: { error: z.prettifyError(error) } };
  console.error(`shop: ${error.stack}`);
  return { status: 500, body: { error: "the shop failed; see its log" } };
}

function send(response, { status, headers = {}, text, body }) {
  const bytes = Buffer.from(text ?? `${JSON.stringify(body)}\n`);
  const type = text === undefined ? "application/json" : "text/plain; charset=utf-8";
  response.writeHead(status, { "content-type": type, "content-length": bytes.length, ...headers });
  response.end(bytes);
}
