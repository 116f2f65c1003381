import { setTimeout as delay } from "node:timers/promises";

/** Milliseconds between two records, and until an answer is given up. */
const PAUSE = 200;
const PATIENCE = 5_000;

/** A client outside, to whom the app acknowledges numbered records as long as it is up. */
export interface Writer {
  /** Records that the app acknowledged, the highest number plus one. */
  readonly acknowledged: number;
  stop(): Promise<void>;
}

/** Writes one record after the other to the app (test/hostd/app.ts), which answers each once it is on its disk. */
export function writeRecords(port: number): Writer {
  let acknowledged = 0;
  let stopped = false;
  const done = (async () => {
    while (!stopped) {
      const number = await writeOne(port);
      if (number !== undefined) acknowledged = Math.max(acknowledged, number + 1);
      await delay(PAUSE);
    }
  })();
  return {
    get acknowledged() {
      return acknowledged;
    },
    async stop() {
      stopped = true;
      await done;
    },
  };
}

async function writeOne(port: number): Promise<number | undefined> {
  try {
    const answer = await ask(port, "/records", "POST");
    return answer === "" ? undefined : Number(answer);
  } catch {
    return undefined; // the machine is down, or the app is
  }
}

/** What is wrong with the app's records, in words: each that was acknowledged must be there, in order. */
export async function wrongRecords(port: number, acknowledged: number): Promise<string[]> {
  const records = (await ask(port, "/records", "GET")).split("\n").slice(0, -1);
  const wrong = records.findIndex((record, number) => !record.startsWith(`${number} by `));
  return [
    ...(records.length < acknowledged ? [`${acknowledged} records acknowledged, ${records.length} there`] : []),
    ...(wrong === -1 ? [] : [`record ${wrong} is "${records[wrong]}"`]),
  ];
}

async function ask(port: number, path: string, method: string): Promise<string> {
  const signal = AbortSignal.timeout(PATIENCE);
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, signal });
  if (!response.ok) throw new Error(`${method} ${path}: expected 200, got ${response.status}`);
  return await response.text();
}
