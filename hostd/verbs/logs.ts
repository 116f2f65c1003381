import { setTimeout as delay } from "node:timers/promises";
import { Failure } from "../../manifests/failure.ts";
import type { LogDocument } from "../../manifests/node.ts";
import { printable } from "../../terminal/printable.ts";
import type { Invocation, Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION, text } from "./answer.ts";
import { newPart } from "./follow.ts";

/** How often a followed log is asked for, milliseconds. */
const POLL = 300;

export const verb: Verb = {
  name: "logs",
  summary: "the end of an app's log; with --follow, what it writes from now on too",
  arguments: [{ name: "<app>", summary: "the app" }],
  options: [
    SOCKET_OPTION,
    { flags: "--generation <number>", summary: "of an earlier generation" },
    { flags: "--slot <version>", summary: "of the newest generation of that version or digest" },
    { flags: "--follow", summary: "go on until Ctrl-C, across switches too" },
  ],
  examples: ["hostd logs shop", "hostd logs shop --slot 1.4.0", "hostd logs shop --follow"],
  async run(invocation) {
    const generation = text(invocation.options["generation"]);
    const slot = text(invocation.options["slot"]);
    if (generation !== undefined && slot !== undefined) {
      throw new Failure("usage", "bad-option", "expected one of --generation and --slot");
    }
    if (generation !== undefined && !/^[1-9]\d{0,8}$/.test(generation)) {
      throw new Failure("usage", "bad-option", `--generation: expected a number from 1 on, got ${generation}`, {
        hint: "hostd changes shows which there were",
      });
    }
    const read = () => clientOf(invocation).logs(argument(invocation, 0), { generation, slot });
    if (invocation.options["follow"] !== true) {
      const log = await read();
      return { json: log, text: log.log };
    }
    await follow(invocation, read);
    return { json: undefined, text: "", streamed: true };
  },
};

async function follow(invocation: Invocation, read: () => Promise<LogDocument>): Promise<void> {
  let last: LogDocument | undefined;
  while (!invocation.signal.aborted) {
    const now = await read();
    const same = last !== undefined && last.generation === now.generation;
    const { text: added, gap } = same ? newPart(last?.log ?? "", now.log) : { text: now.log, gap: false };
    if (last !== undefined && !same && !invocation.json) write(`--- generation ${now.generation}: ${now.version}\n`);
    if (gap && !invocation.json) write("--- some of it was written too fast to be followed\n");
    if (added !== "") {
      const text = printable(added, process.stdout);
      write(invocation.json ? `${JSON.stringify({ ...now, log: added, gap })}\n` : text);
    }
    last = now;
    await delay(POLL, undefined, { signal: invocation.signal }).catch(() => {}); // Ctrl-C ends the pause, then the loop
  }
}

function write(text: string): void {
  process.stdout.write(text);
}
