import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

export interface LoadOptions {
  /** Port on 127.0.0.1. */
  port: number;
  clients: number;
  /** `fresh`: a new connection for each request; `keep-alive`: one connection a client, used again and again. */
  kind: "fresh" | "keep-alive";
  /** Ends the load: each client finishes the request it is at. */
  until: AbortSignal;
  /** One request in this many is a POST /orders, the others are GET /orders. */
  orderEvery?: number;
  /** Milliseconds that a client waits between two requests. */
  pause?: number;
}

export interface LoadReport {
  sent: number;
  ok: number;
  /** Every failed request up to FAILURES_KEPT: milliseconds since the load began, and what went wrong. */
  failed: { at: number; error: string }[];
  /** Longest time without any completed request, in milliseconds. */
  maxGapMs: number;
  maxLatencyMs: number;
  /** Ids of the orders that the shop answered with 201. */
  acknowledged: number[];
}

/** Failures kept one by one; `sent - ok` counts them all. */
const FAILURES_KEPT = 1_000;
/** A request that takes longer has failed, in milliseconds. */
const ANSWER_LIMIT = 15_000;
const PAGE = 1_000;

/** Real HTTP requests from several clients until `until` fires; a failed request is recorded and never sent again. */
export async function startLoad(options: LoadOptions): Promise<LoadReport> {
  const report: LoadReport = { sent: 0, ok: 0, failed: [], maxGapMs: 0, maxLatencyMs: 0, acknowledged: [] };
  const began = performance.now();
  let lastCompleted = began;

  const oneRequest = async (agent: Agent, isOrder: boolean): Promise<void> => {
    report.sent += 1;
    const before = performance.now();
    try {
      if (isOrder) report.acknowledged.push(await placeOrder(options.port, agent));
      else await listOrders(options.port, agent, 0, 5);
      report.ok += 1;
      const now = performance.now();
      report.maxGapMs = Math.max(report.maxGapMs, now - lastCompleted);
      report.maxLatencyMs = Math.max(report.maxLatencyMs, now - before);
      lastCompleted = now;
    } catch (error) {
      if (report.failed.length < FAILURES_KEPT) {
        report.failed.push({ at: performance.now() - began, error: describeError(error) });
      }
    }
  };

  const oneClient = async (number: number): Promise<void> => {
    const agent = new Agent({ keepAlive: options.kind === "keep-alive", maxSockets: 1 });
    for (let turn = number; !options.until.aborted; turn += 1) {
      await oneRequest(agent, turn % (options.orderEvery ?? 4) === 0);
      await sleep(options.pause ?? 2);
    }
    agent.destroy();
  };

  await Promise.all(Array.from({ length: options.clients }, (_, number) => oneClient(number)));
  report.maxGapMs = Math.max(report.maxGapMs, performance.now() - lastCompleted);
  return report;
}

/** Those of the acknowledged orders that the shop does not list: none, unless it lost what it had promised. */
export async function findLostOrders(port: number, acknowledged: readonly number[]): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const lost = new Set(acknowledged);
  try {
    for (let after: number | null = 0; after !== null; ) {
      const page: OrderPage = await listOrders(port, agent, after, PAGE);
      for (const { id } of page.orders) lost.delete(id);
      after = page.next;
    }
  } finally {
    agent.destroy();
  }
  return [...lost].sort((a, b) => a - b);
}

/** The report in one line, for a test's message or a demo's table. */
export function describeLoad(report: LoadReport): string {
  const { sent, ok, failed, maxGapMs, maxLatencyMs, acknowledged } = report;
  const kinds = [...new Set(failed.map(({ error }) => error))].slice(0, 3).join("; ");
  return (
    `${ok} ok, ${sent - ok} failed${kinds === "" ? "" : ` (${kinds})`}, ${acknowledged.length} orders, ` +
    `longest gap ${Math.round(maxGapMs)} ms, longest answer ${Math.round(maxLatencyMs)} ms`
  );
}

interface OrderPage {
  count: number;
  orders: { id: number }[];
  next: number | null;
}

interface Answer {
  status: number | undefined;
  text: string;
}

async function placeOrder(port: number, agent: Agent): Promise<number> {
  const body = JSON.stringify({ item: "tea", quantity: 1 });
  const answer = await exchange(port, agent, { method: "POST", path: "/orders", body });
  return parseAnswer<{ id: number }>(answer, 201).id;
}

async function listOrders(port: number, agent: Agent, after: number, limit: number): Promise<OrderPage> {
  const answer = await exchange(port, agent, { method: "GET", path: `/orders?after=${after}&limit=${limit}` });
  return parseAnswer<OrderPage>(answer, 200);
}

function parseAnswer<Body>({ status, text }: Answer, expected: number): Body {
  if (status !== expected) throw new Error(`expected ${expected}, got ${status}: ${text.slice(0, 200)}`);
  return JSON.parse(text) as Body;
}

/** One request and its whole answer. Rejects when the connection breaks or the answer is late. */
function exchange(
  port: number,
  agent: Agent,
  { method, path, body = "" }: { method: string; path: string; body?: string },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers =
      body === "" ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const outgoing = request({ host: "127.0.0.1", port, agent, method, path, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
      });
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode, text }));
    });
    const limit = setTimeout(() => outgoing.destroy(new Error(`no answer within ${ANSWER_LIMIT} ms`)), ANSWER_LIMIT);
    outgoing.on("error", reject);
    outgoing.on("close", () => clearTimeout(limit));
    outgoing.end(body);
  });
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error ? `${String(error.code)}: ${error.message}` : error.message;
}
