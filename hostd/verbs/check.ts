import { EXIT_CODES } from "../../manifests/failure.ts";
import type { UpdateDocument } from "../../manifests/update.ts";
import { bytes } from "../../terminal/table.ts";
import type { Answer, Verb } from "../../terminal/verb.ts";
import { answerOfRefusal, clientOf, SOCKET_OPTION, text } from "./answer.ts";
import { describeHold } from "./show.ts";

/** What package tools say where there is nothing new (rpm-ostree). */
const UNCHANGED = 77;

export const verb: Verb = {
  name: "check",
  summary: "ask the channel for newer versions, verified; fetches none of them and changes nothing",
  arguments: [{ name: "[app]", summary: "one app (default: each of this node)" }],
  options: [
    SOCKET_OPTION,
    { flags: "--channel <name>", summary: "another channel than hostd's own" },
    { flags: "--unchanged-exit-77", summary: "exit with 77 where there is nothing new, for scripts" },
  ],
  examples: ["hostd check", "hostd check shop --json", "hostd check --unchanged-exit-77 && echo 'something to do'"],
  async run(invocation) {
    const client = clientOf(invocation);
    const [only, channel] = [text(invocation.arguments[0]), text(invocation.options["channel"])];
    const apps = only === undefined ? (await client.status()).apps.map(({ app }) => app) : [only];
    const answers: Answer[] = [];
    let isNew = false;
    for (const app of apps) {
      const answer = await client
        .check(app, channel)
        .then((update) => answerOf(update, channel === undefined), answerOfRefusal(app));
      isNew ||= isUpdate(answer.json);
      answers.push(answer);
    }
    const worst = Math.max(EXIT_CODES.ok, ...answers.map(({ exitCode }) => exitCode ?? 0));
    const unchanged = invocation.options["unchangedExit77"] === true && !isNew && worst === EXIT_CODES.ok;
    return {
      json: { schema: 1, updates: answers.map(({ json }) => json) },
      text: answers.length === 0 ? "no apps" : answers.map((one) => one.text).join("\n"),
      exitCode: unchanged ? UNCHANGED : worst,
    };
  },
};

function answerOf(update: UpdateDocument, isDefault: boolean): Answer {
  const exitCode = update.state === "refused" ? EXIT_CODES.refused : EXIT_CODES.ok;
  return { json: update, text: describe(update, isDefault), exitCode };
}

function isUpdate(json: unknown): boolean {
  const { state } = json as Partial<UpdateDocument>;
  return state === "new" || state === "here";
}

function describe(update: UpdateDocument, isDefault: boolean): string {
  const { app, channel, state, release, current, fetches = 0, why, updatesHeld } = update;
  const runs = current === undefined ? "has no version here" : `is at ${current.version}`;
  const head = `${app} ${runs}; ${channel} releases`;
  const version = release?.version ?? "a version";
  const other = isDefault ? "" : ` --channel ${channel}`;
  const lines = {
    none: `${head} none of it`,
    runs: `${app} ${runs}, as ${channel} releases it`,
    here: `${head} ${version}, which is here: hostd activate ${app}`,
    new: `${head} ${version}, ${bytes(fetches)} to fetch: hostd stage ${app}${other}`,
    refused: `${head} ${version}, which this node refuses: ${why?.message ?? "it does not say why"}`,
  };
  const held = updatesHeld === undefined ? [] : [`  ${describeHold(updatesHeld)}`];
  return [lines[state], ...held, ...(why?.hint === undefined ? [] : [`  hint: ${why.hint}`])].join("\n");
}
