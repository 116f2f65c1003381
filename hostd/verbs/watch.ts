import type { EventDocument } from "../../manifests/event.ts";
import { writeOutput } from "../../terminal/output.ts";
import { printable } from "../../terminal/printable.ts";
import type { Verb } from "../../terminal/verb.ts";
import { clientOf, SOCKET_OPTION, text } from "./answer.ts";
import { poll } from "./poll.ts";
import { when } from "./show.ts";

export const verb: Verb = {
  name: "watch",
  summary: "every change of state from now on, until Ctrl-C: one line each, JSON lines when piped",
  arguments: [{ name: "[app]", summary: "one app alone" }],
  options: [SOCKET_OPTION],
  examples: ["hostd watch", "hostd watch shop --json | jq .kind"],
  async run(invocation) {
    const client = clientOf(invocation);
    const app = text(invocation.arguments[0]);
    const show = invocation.json || !process.stdout.isTTY ? JSON.stringify : describe;
    let last = (await client.events({ limit: 1 })).events.at(-1)?.id ?? 0;
    await poll(
      invocation.signal,
      async () => (await client.events({ app, after: last, limit: 1_000 })).events,
      async (events) => {
        last = events.at(-1)?.id ?? last;
        return events.length === 0 || (await writeOutput(events.map((event) => `${show(event)}\n`).join("")));
      },
    );
    return { json: undefined, text: "", streamed: true };
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
