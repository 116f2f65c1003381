import { describeLoad, findLostOrders, type LoadReport, startLoad } from "../test/load.ts";

const CLIENTS = 4;

/** Places orders one after the other, each answered before the next. */
export async function placeOrders(port: number, count: number): Promise<void> {
  for (let number = 0; number < count; number += 1) {
    const body = JSON.stringify({ item: "tea", quantity: 1 + (number % 3) });
    const response = await fetch(`http://127.0.0.1:${port}/orders`, { method: "POST", body });
    if (response.status !== 201) throw new Error(`expected status 201 for an order, got ${response.status}`);
  }
}

export async function countOrders(port: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/orders`);
  return ((await response.json()) as { count: number }).count;
}

/** Does the work while clients with fresh and with kept connections order and list; fails if one request fails or one order is lost. */
export async function underLoad(port: number, work: () => Promise<unknown>): Promise<string> {
  const end = new AbortController();
  const kinds = ["fresh", "keep-alive"] as const;
  const loads = kinds.map((kind) => startLoad({ port, clients: CLIENTS, kind, until: end.signal, pause: 10 }));
  let reports: LoadReport[];
  try {
    await work();
  } finally {
    end.abort();
    reports = await Promise.all(loads);
  }
  const lines = reports.map((report, index) => `${kinds[index]} connections: ${describeLoad(report)}`);
  const failed = reports.reduce((sum, report) => sum + report.sent - report.ok, 0);
  const lost = await findLostOrders(
    port,
    reports.flatMap((report) => report.acknowledged),
  );
  if (failed > 0 || lost.length > 0) {
    throw new Error(
      `expected no failed request and no lost order, found ${failed} and ${lost.length}\n${lines.join("\n")}`,
    );
  }
  return lines.join("\n");
}
