import { EXIT_CODES } from "../../manifests/failure.ts";
import type { HealthDocument } from "../../manifests/node.ts";
import { table } from "../../terminal/table.ts";
import type { Verb } from "../../terminal/verb.ts";
import { clientOf, SOCKET_OPTION } from "./answer.ts";

export const verb: Verb = {
  name: "health",
  summary: "health of every app; exit code 0 only when all are healthy",
  options: [SOCKET_OPTION],
  async run(invocation) {
    const health = await clientOf(invocation).health();
    return { json: health, text: show(health), exitCode: health.healthy ? EXIT_CODES.ok : EXIT_CODES.failed };
  },
};

function show({ apps }: HealthDocument): string {
  if (apps.length === 0) return "no apps";
  const rows = apps.flatMap(({ app, health, checks, hold }) => [
    [app, health, hold ?? ""],
    ...checks.map(({ check, ok, detail }) => [`  ${check}`, ok ? "ok" : "bad", detail]),
  ]);
  return table(["APP", "HEALTH", "DETAIL"], rows);
}
