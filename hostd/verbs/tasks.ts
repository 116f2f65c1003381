import type { OperationDocument, StepDocument } from "../../manifests/node.ts";
import { table } from "../../terminal/table.ts";
import type { Verb } from "../../terminal/verb.ts";
import { answerOf, argument, clientOf, operationNumber, SOCKET_OPTION } from "./answer.ts";

type Task = StepDocument & { state: "done" | "doing" | "failed" | "undoing" | "undone" | "to do" | "not reached" };

export const verb: Verb = {
  name: "tasks",
  summary: "every step of an operation: done, undone or not reached, when and how long",
  arguments: [{ name: "<operation>", summary: "its number, as hostd changes shows it" }],
  options: [SOCKET_OPTION],
  examples: ["hostd tasks 12"],
  async run(invocation) {
    const operation = await clientOf(invocation).operation(operationNumber(argument(invocation, 0)));
    const tasks = toTasks(operation);
    const { id, kind, app, state, reverted } = operation;
    const json = { schema: 1, operation: id, kind, app, state, reverted, tasks };
    return { json, text: `${answerOf(operation).text}\n\n${show(tasks)}` };
  },
};

/** Each step with one word for how it stands. */
export function toTasks(operation: OperationDocument): Task[] {
  const { state, steps } = operation;
  const last = steps.findLast(({ started }) => started !== undefined);
  return steps.map((step) => {
    const stands = (): Task["state"] => {
      if (step.undone !== undefined) return "undone";
      if (step.started === undefined) return state === "running" ? "to do" : "not reached";
      if (step.done !== undefined) return "done";
      if (state === "running") return "doing";
      return step === last ? "failed" : "undoing";
    };
    return { ...step, state: stands() };
  });
}

function show(tasks: readonly Task[]): string {
  const rows = tasks.map(({ name, state, started, done, undone, detail }) => [
    name,
    state,
    started === undefined ? "" : clock(started),
    started === undefined || done === undefined ? "" : `${Date.parse(done) - Date.parse(started)} ms`,
    undone === undefined ? "" : clock(undone),
    detail ?? "",
  ]);
  return table(["STEP", "STATE", "STARTED", "TOOK", "UNDONE", "DETAIL"], rows);
}

function clock(time: string): string {
  return time.replace(/^.*T/, "").replace("Z", "");
}
