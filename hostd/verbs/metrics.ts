import type { Verb } from "../../terminal/verb.ts";
import { clientOf, SOCKET_OPTION } from "./answer.ts";

export const verb: Verb = {
  name: "metrics",
  summary: "the node as numbers, in Prometheus' text format",
  options: [SOCKET_OPTION],
  examples: ["hostd metrics --no-json > /var/lib/node_exporter/hostd.prom"],
  async run(invocation) {
    const metrics = await clientOf(invocation).metrics();
    return { json: { schema: 1, metrics }, text: metrics };
  },
};
