import type { FailureBundle } from "../../manifests/bundle.ts";
import { bytes, table } from "../../terminal/table.ts";
import type { Verb } from "../../terminal/verb.ts";
import { describeExit } from "../exit.ts";
import { answerOf, argument, clientOf, operationNumber, SOCKET_OPTION } from "./answer.ts";
import { showSteps } from "./show.ts";

export const verb: Verb = {
  name: "failure",
  summary: "what was kept of a failed operation: log, check results, how its processes ended",
  arguments: [{ name: "<operation>", summary: "its number, as hostd changes shows it" }],
  options: [SOCKET_OPTION],
  examples: ["hostd failure 12"],
  async run(invocation) {
    const id = operationNumber(argument(invocation, 0));
    const bundle = await clientOf(invocation).failure(id);
    return { json: bundle, text: showFailure(bundle) };
  },
};

/** Lines of the log that people see; --json holds all that was kept. */
const SHOWN_LINES = 30;

function showFailure({ operation, checks, hostChecks, processes, machine, log, boot }: FailureBundle): string {
  const results = [
    ...checks.map(({ check, ok, detail }) => [check, ok ? "ok" : "bad", detail]),
    ...hostChecks.map(({ check, outcome, detail }) => [check, outcome, detail]),
  ];
  const ends = processes.map(({ pid, startedAt, exited }) => {
    const how = exited === undefined ? "still ran" : `ended, ${describeExit(exited)}`;
    return `process ${pid}, started ${startedAt}: ${how}`;
  });
  const room = machine === undefined ? [] : [`${bytes(machine.disk.free)} were free on the disk`];
  const lines = log.trimEnd().split("\n").slice(-SHOWN_LINES);
  return [
    answerOf(withoutHint(operation)).text,
    showSteps(operation),
    ...(results.length === 0 ? [] : [table(["CHECK", "RESULT", "DETAIL"], results)]),
    [...ends, ...room].join("\n"),
    ...(boot === undefined ? [] : bootLines(boot)),
    log === ""
      ? boot === undefined
        ? "it wrote no log"
        : ""
      : `the end of its log:\n${lines.map((line) => `  ${line}`).join("\n")}`,
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

/** What the boot of a host's trial left behind: who ended it, the kernel's last words, the end of its journal. */
function bootLines({ root, journal, records, log }: NonNullable<FailureBundle["boot"]>): string[] {
  const parts = [
    ["initrd and guard said", log.join("\n")],
    ["the kernel's last words", records],
    ["the end of its journal", journal],
  ] as const;
  const told = parts.flatMap(([title, text]) => {
    const lines = text.trimEnd().split("\n").slice(-SHOWN_LINES);
    return text === "" ? [] : [`${title}:\n${lines.map((line) => `  ${line}`).join("\n")}`];
  });
  return [`boot of root ${root.slice(0, 12)}${told.length === 0 ? " left nothing behind" : ""}`, ...told];
}

/** What failed names this verb as where to look: here one looks already. */
function withoutHint(operation: FailureBundle["operation"]): FailureBundle["operation"] {
  if (operation.reason === undefined) return operation;
  const { hint: _, ...reason } = operation.reason;
  return { ...operation, reason };
}
