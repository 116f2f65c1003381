import {
  GENERATION_TRANSITIONS,
  isPassing,
  lockOf,
  OPERATION_TRANSITIONS,
  OPERATIONS,
  SLOT_TRANSITIONS,
  STEPS,
  type StepName,
  stepRule,
  type Transitions,
} from "./states.ts";

/** docs/states.md as it follows from hostd/states.ts; a test holds that the file is exactly this. */
export function drawStates(): string {
  const passing = (Object.keys(STEPS) as StepName[]).filter(isPassing).map((name) => `\`${name}\``);
  return [
    "# States, steps and what a crash does to them",
    "",
    "Written from `hostd/states.ts` by `node test/write-states.ts`; a test holds the two together.",
    "",
    "## Slots: one staged version each",
    ...diagram(SLOT_TRANSITIONS),
    "## Generations: what an app runs, image + config + data",
    ...diagram(GENERATION_TRANSITIONS),
    "## Operations: every change of a node",
    ...diagram(OPERATION_TRANSITIONS),
    "## Kinds of operations",
    "",
    "| Kind | Steps, in order |",
    "|---|---|",
    ...Object.entries(OPERATIONS).map(([kind, steps]) => `| \`${kind}\` | ${steps.join(", ")} |`),
    "",
    "A failure undoes, in reverse, every step that was started. After a crash the last step that was started decides:",
    "`resume` goes on with it, `undo` takes the operation back; `boot` goes on in the new system, and in the old one",
    "takes back a trial that failed, or installs and arms one again that ended without a trace, as by a power cut (three times at",
    `most). After a power cut it is the last one whose start was on disk: that of ${passing.join(", ")} may not be,`,
    "until a step begins that leaves more than processes, mounts and what can be made again.",
    "An operation that was being taken back is taken back further. Each step has two fault points, `<kind>.<step>.before` and `.after`, and two for its undo.",
    "",
    "## Steps",
    "",
    "| Step | Does | Undo | After a crash | Lock |",
    "|---|---|---|---|---|",
    ...Object.keys(STEPS).map((name) => stepRow(name as StepName)),
    "",
  ].join("\n");
}

function stepRow(name: StepName): string {
  const { does, undo, afterCrash } = stepRule(name);
  return `| \`${name}\` | ${does} | ${undo ?? "nothing to undo"} | ${afterCrash} | ${lockOf(name)} |`;
}

function diagram<State extends string, Action extends string>(table: Transitions<State, Action>): string[] {
  const rules = Object.entries(table) as [Action, Transitions<State, Action>[Action]][];
  const lines = rules.flatMap(([action, { from, to }]) =>
    from.map((state) => `  ${shown(state)} --> ${shown(to)}: ${action}`),
  );
  return ["", "```mermaid", "stateDiagram-v2", ...lines, "```", ""];
}

/** Where there is nothing yet, or nothing any more. */
function shown(state: string): string {
  return state === "absent" ? "[*]" : state;
}
