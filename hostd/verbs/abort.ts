import { Failure } from "../../manifests/failure.ts";
import type { Verb } from "../../terminal/verb.ts";
import { answerOf, argument, clientOf, SOCKET_OPTION } from "./answer.ts";

export const verb: Verb = {
  name: "abort",
  summary: "end an operation under way: what it did is undone",
  arguments: [{ name: "<operation>", summary: "its number, as hostd changes shows it" }],
  options: [SOCKET_OPTION],
  examples: ["hostd abort 12"],
  async run(invocation) {
    const id = argument(invocation, 0);
    if (!/^\d{1,9}$/.test(id)) throw new Failure("usage", "bad-argument", `expected an operation's number, got ${id}`);
    const client = clientOf(invocation);
    const ended = await client.wait(await client.abort(Number(id)), invocation.progress, invocation.signal);
    return { ...answerOf(ended), exitCode: 0 };
  },
};
