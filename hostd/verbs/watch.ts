import { setTimeout as delay } from "node:timers/promises";
import { Failure } from "../../manifests/failure.ts";
import type { EventDocument } from "../../manifests/node.ts";
import { printable } from "../../terminal/printable.ts";
import type { Verb } from "../../terminal/verb.ts";
import { clientOf, SOCKET_OPTION, text } from "./answer.ts";
import { when } from "./show.ts";

/** How often events are asked for, milliseconds. */
const POLL = 300;

export const verb: Verb = {
  name: "watch",
  summary: "every change of state from now on, until Ctrl-C: one line each, JSON lines when piped",
  arguments: [{ name: "[app]", summary: "one app alone" }],
  options: [SOCKET_OPTION],
  examples: ["hostd watch", "hostd watch shop --json | jq .kind"],
  async run(invocation) {
    const { signal } = invocation;
    const client = clientOf(invocation);
    const app = text(invocation.arguments[0]);
    const show = invocation.json || !process.stdout.isTTY ? JSON.stringify : describe;
    let last = (await client.events({ limit: 1 })).events.at(-1)?.id ?? 0;
    while (!signal.aborted) {
      for (const event of await eventsAfter(last)) {
        last = event.id;
        process.stdout.write(`${show(event)}\n`);
      }
      await delay(POLL, undefined, { signal }).catch(() => {}); // Ctrl-C ends the pause, then the loop
    }
    return { json: undefined, text: "", streamed: true };

    /** A hostd that is started anew has the same events: it is waited for. */
    async function eventsAfter(id: number): Promise<readonly EventDocument[]> {
      try {
        return (await client.events({ app, after: id, limit: 1_000 })).events;
      } catch (error) {
        if (error instanceof Failure && error.code === "not-running") return [];
        throw error;
      }
    }
  },
};

function describe({ at, kind, app, operation, detail }: EventDocument): string {
  const words = Object.entries(detail).map(([name, value]) => `${name}=${short(value)}`);
  const about = [app ?? "", operation === undefined ? "" : `operation ${operation}`].filter((part) => part !== "");
  return printable([when(at), kind, ...about, ...words].join("  "), process.stdout);
}

function short(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
