import { Failure } from "../../manifests/failure.ts";
import type { LogDocument } from "../../manifests/node.ts";
import { writeOutput } from "../../terminal/output.ts";
import { printable } from "../../terminal/printable.ts";
import type { Invocation, Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION, text } from "./answer.ts";
import { newPart } from "./follow.ts";
import { poll } from "./poll.ts";

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

/** Shows what is there and then what is added; of hostd away it learns nothing, and goes on once it is back. */
async function follow({ signal, json }: Invocation, read: () => Promise<LogDocument>): Promise<void> {
  let last: LogDocument | undefined;
  const show = async (now: LogDocument) => {
    const same = last !== undefined && last.generation === now.generation;
    const { text: added, gap } = same ? newPart(last?.log ?? "", now.log) : { text: now.log, gap: false };
    const heading = last === undefined || same ? "" : `--- generation ${now.generation}: ${now.version}\n`;
    const missed = gap ? "--- some of it was written too fast to be followed\n" : "";
    last = now;
    const part = json
      ? added && `${JSON.stringify({ ...now, log: added, gap })}\n`
      : `${heading}${missed}${printable(added, process.stdout)}`;
    return part === "" || (await writeOutput(part));
  };
  if (await show(await read())) await poll(signal, read, show);
}
