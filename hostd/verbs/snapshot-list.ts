import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION } from "./answer.ts";
import { snapshotTable } from "./show.ts";

export const verb: Verb = {
  name: "snapshot list",
  summary: "data snapshots of an app, newest first",
  arguments: [{ name: "<app>", summary: "the app" }],
  options: [SOCKET_OPTION],
  async run(invocation) {
    const status = await clientOf(invocation).app(argument(invocation, 0));
    const text = status.snapshots.length === 0 ? "no snapshots" : snapshotTable(status);
    return { json: { snapshots: status.snapshots }, text };
  },
};
