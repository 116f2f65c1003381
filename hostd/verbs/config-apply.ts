import type { NodeConfig } from "../../manifests/config.ts";
import { Failure } from "../../manifests/failure.ts";
import type { OperationDocument } from "../../manifests/node.ts";
import type { Answer, Verb } from "../../terminal/verb.ts";
import { answerAtEnd, answerOf, answerOfRefusal, clientOf, OPERATION_OPTIONS, text } from "./answer.ts";

export const verb: Verb = {
  name: "config apply",
  summary:
    "switch to the config that the layers say: only apps whose files change are told; of the host, its files and units",
  arguments: [{ name: "[app]", summary: "one app (default: each that runs with something else)" }],
  options: [
    ...OPERATION_OPTIONS,
    { flags: "--revision <number>", summary: "as the layers and secrets were at that revision (default: now)" },
  ],
  examples: ["hostd config apply", "hostd config apply shop --revision 4"],
  async run(invocation) {
    const client = clientOf(invocation);
    const [only, id] = [text(invocation.arguments[0]), text(invocation.options["requestId"])];
    const { revision, apps } = await client.config();
    const given = revisionOf(text(invocation.options["revision"]));
    const wanted = given ?? revision;
    // Of now it is known whose files change; of another revision, each app that runs is asked.
    const running = apps.flatMap(({ app, config }) => (config === undefined ? [] : [app]));
    const concerned = given === undefined ? appsToApply(apps) : running;
    // All are begun before the first is waited for: one change, and one revision for everybody.
    const begun: (OperationDocument | Answer)[] = [];
    for (const app of only === undefined ? concerned : [only]) {
      const requestId = id === undefined ? {} : { requestId: only === undefined ? `${id}.${app}` : id };
      begun.push(await client.begin(app, "configure", { revision: wanted, ...requestId }).catch(answerOfRefusal(app)));
    }
    const answers: Answer[] = [];
    for (const one of begun) {
      if ("json" in one) answers.push(one);
      else if (invocation.options["wait"] === false) answers.push(answerOf(one));
      else answers.push(await answerAtEnd(client, one, invocation));
    }
    return {
      json: { schema: 1, revision: wanted, operations: answers.map(({ json }) => json) },
      text: answers.length === 0 ? "every app runs with what is declared" : answers.map((one) => one.text).join("\n"),
      exitCode: Math.max(0, ...answers.map(({ exitCode }) => exitCode ?? 0)),
    };
  },
};

/** Apps that run with other files than are declared now. */
export function appsToApply(apps: NodeConfig["apps"]): string[] {
  return apps.filter(({ config }) => (config?.drift.length ?? 0) > 0).map(({ app }) => app);
}

function revisionOf(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  if (/^\d{1,9}$/.test(given)) return Number(given);
  throw new Failure("usage", "bad-option", `--revision: expected a number, got ${given}`, {
    hint: "hostd config history lists them",
  });
}
