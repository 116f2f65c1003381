import type { Verb } from "../../terminal/verb.ts";
import { clientOf, SOCKET_OPTION, text } from "./answer.ts";
import { showApp, showStatus } from "./show.ts";
import { showHost } from "./show-host.ts";

export const verb: Verb = {
  name: "status",
  summary: "what runs, what is staged, what a rollback would lead to",
  arguments: [{ name: "[app]", summary: "one app alone" }],
  options: [SOCKET_OPTION],
  examples: ["hostd status", "hostd status shop --json"],
  async run(invocation) {
    const app = text(invocation.arguments[0]);
    const client = clientOf(invocation);
    if (app === undefined) {
      const status = await client.status();
      return { json: status, text: showStatus(status) };
    }
    const status = await client.app(app);
    const { host } = await client.status();
    if (host?.product !== app) return { json: status, text: showApp(status) };
    return { json: { ...status, host }, text: `${showApp(status)}\n\n${showHost(host)}` };
  },
};
