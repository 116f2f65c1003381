import { missing, skipBlanks } from "./arguments.ts";
import type { Draft } from "./draft.ts";
import { type JsonArray, readJsonForm } from "./json.ts";
import { quote } from "./problem.ts";
import { fail, type Instruction } from "./split.ts";
import { skipRemarks } from "./words.ts";

export type Command =
  | { form: "exec"; command: string[]; array: JsonArray }
  /** `script` has its continuations joined and is trimmed. */
  | { form: "shell"; script: string };

/**
 * The command from `at` on: a JSON array, or text for a shell. Nothing is substituted: the shell or the program does it.
 * `trailing` lets text follow the array; the caller reads it.
 */
export function readCommand(instruction: Instruction, at: number, trailing = false): Command {
  const { line } = instruction;
  const start = skipBlanks(line.text, at);
  const script = line.text.slice(start).trim();
  if (script === "") return missing(instruction, 'a command, as text or as a JSON array: ["/bin/program", "argument"]');
  const array = readJsonForm(line, start);
  if (array === undefined) return { form: "shell", script };
  const next = skipRemarks(line, array.end);
  if (!trailing && next < line.text.length) {
    const end = line.text.trimEnd().length;
    const message = `unexpected ${quote(line.text.slice(next, end))} after the JSON array`;
    fail(instruction, next, end, { code: "bad-json", message, expected: "the end of the instruction" });
  }
  return { form: "exec", command: array.values.map(({ value }) => value), array };
}

/** The command as a list of arguments: shell text goes to SHELL, or to `/bin/sh -c`. An empty array is refused. */
export function readArgv(instruction: Instruction, draft: Draft, at: number, trailing = false): string[] {
  const command = readCommand(instruction, at, trailing);
  if (command.form === "shell") return [...(draft.scope.shell ?? ["/bin/sh", "-c"]), command.script];
  if (command.command.length > 0 && command.command[0] !== "") return command.command;
  const start = skipBlanks(instruction.line.text, at);
  return fail(instruction, start, command.array.end, {
    code: "bad-value",
    message: "the command is empty",
    expected: "a program and its arguments",
  });
}
