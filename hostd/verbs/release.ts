import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION } from "./answer.ts";
import { showStatus } from "./show.ts";

export const verb: Verb = {
  name: "release",
  summary: "lift the quarantine of an image: it may be tried again",
  arguments: [{ name: "<image>", summary: "digest or its beginning" }],
  examples: ["hostd release 3f9a1c"],
  options: [SOCKET_OPTION],
  async run(invocation) {
    const status = await clientOf(invocation).release(argument(invocation, 0));
    return { json: status, text: showStatus(status) };
  },
};
