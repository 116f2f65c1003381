import { Failure } from "../../manifests/failure.ts";
import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION } from "./answer.ts";

export const verb: Verb = {
  name: "failure",
  summary: "what was kept of a failed operation: log, check results, how its processes ended",
  arguments: [{ name: "<operation>", summary: "its number, as hostd changes shows it" }],
  options: [SOCKET_OPTION],
  examples: ["hostd failure 12"],
  async run(invocation) {
    const id = argument(invocation, 0);
    if (!/^\d{1,9}$/.test(id)) throw new Failure("usage", "bad-argument", `expected an operation's number, got ${id}`);
    const bundle = await clientOf(invocation).failure(Number(id));
    return { json: bundle, text: JSON.stringify(bundle, undefined, 2) };
  },
};
