import { Failure, toFailureDocument } from "../../manifests/failure.ts";
import type { HealthDocument, HealthVerdict } from "../../manifests/node.ts";
import { table } from "../../terminal/table.ts";
import type { Verb } from "../../terminal/verb.ts";
import { clientOf, SOCKET_OPTION } from "./answer.ts";
import { howRunStands } from "./show.ts";

export const verb: Verb = {
  name: "health",
  summary: "health of every app; exit code 0 green, 1 red, 2 unknown",
  options: [SOCKET_OPTION],
  examples: ["hostd health || mail -s 'node is not green' root"],
  async run(invocation) {
    try {
      const health = await clientOf(invocation).health();
      return { json: health, text: show(health), exitCode: EXITS[health.verdict] };
    } catch (error) {
      if (!(error instanceof Failure) || !UNANSWERED.has(error.code)) throw error;
      const json = {
        schema: 1,
        healthy: false,
        verdict: "unknown",
        problems: [],
        apps: [],
        error: toFailureDocument(error),
      };
      return { json, text: `unknown: ${error.message}`, exitCode: EXITS.unknown };
    }
  },
};

/** Whoever cannot ask does not know. */
const UNANSWERED: ReadonlySet<string> = new Set(["not-running", "not-permitted"]);

const EXITS: Record<HealthVerdict, number> = { green: 0, red: 1, unknown: 2 };

function show({ verdict, problems, apps }: HealthDocument): string {
  const head = [apps.length === 0 ? `${verdict}: no apps` : verdict, ...problems].join("\n");
  if (apps.length === 0) return head;
  const rows = apps.flatMap(({ app, health, checks, hostChecks, hold, hindered, lastRun }) => [
    [app, health, hold ?? hindered ?? (lastRun === undefined ? "" : `last run: ${howRunStands(lastRun)}`)],
    ...checks.map(({ check, ok, detail }) => [`  ${check}`, ok ? "ok" : "bad", detail]),
    ...hostChecks.map(({ check, outcome, detail }) => [`  ${check}`, outcome, detail]),
  ]);
  return `${head}\n\n${table(["APP", "HEALTH", "DETAIL"], rows)}`;
}
