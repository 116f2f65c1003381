import { strictShell } from "../sandbox/shell.ts";
import { missing, skipBlanks } from "./arguments.ts";
import type { Draft } from "./draft.ts";
import { type JsonArray, readJsonForm } from "./json.ts";
import { quote } from "./problem.ts";
import { fail, type Instruction } from "./split.ts";
import { skipRemarks } from "./words.ts";

export type Command =
  | { form: "exec"; command: string[]; array: JsonArray }
  /** `script` has its continuations joined and is trimmed; heredocs are part of it. */
  | { form: "shell"; script: string }
  /** A heredoc that starts with `#!`. */
  | { form: "file"; content: string };

/**
 * The command from `at` on: a JSON array, or text for a shell. Nothing is substituted: the shell or the program does it.
 * `trailing` lets text follow the array; the caller reads it.
 */
export function readCommand(instruction: Instruction, at: number, trailing = false): Command {
  const { line } = instruction;
  const start = skipBlanks(line.text, at);
  const text = line.text.slice(start).trim();
  if (text === "") return missing(instruction, 'a command, as text or as a JSON array: ["/bin/program", "argument"]');
  const array = readJsonForm(line, start);
  if (array === undefined) return readText(instruction, start, text);
  const next = skipRemarks(line, array.end);
  if (!trailing && next < line.text.length) {
    const end = line.text.trimEnd().length;
    const message = `unexpected ${quote(line.text.slice(next, end))} after the JSON array`;
    fail(instruction, next, end, { code: "bad-json", message, expected: "the end of the instruction" });
  }
  return { form: "exec", command: array.values.map(({ value }) => value), array };
}

/** A heredoc that stands alone is the script itself; others are read by the text before them. */
function readText(instruction: Instruction, start: number, text: string): Command {
  const { heredocs, line } = instruction;
  const [first] = heredocs;
  const alone = heredocs.length === 1 && first?.start === start && line.text.slice(first.end).trim() === "";
  if (first === undefined) return { form: "shell", script: text };
  if (!alone) return { form: "shell", script: [text, ...heredocs.map(({ raw }) => raw), ""].join("\n") };
  const content = first.body.text;
  if (content.trim() === "") {
    fail(instruction, first.start, first.end, {
      code: "bad-heredoc",
      message: "the heredoc has no lines to run",
      expected: "commands between it and its delimiter",
    });
  }
  return content.startsWith("#!") ? { form: "file", content } : { form: "shell", script: content };
}

/**
 * The command as a list of arguments: shell text goes to SHELL, or to `inShell`, as strict as a RUN. An empty array is
 * refused, and so is a heredoc with `#!`, which only RUN has a file for.
 */
export function readArgv(
  instruction: Instruction,
  draft: Draft,
  at: number,
  { trailing = false, inShell = strictShell }: { trailing?: boolean; inShell?: (script: string) => string[] } = {},
): string[] {
  const command = readCommand(instruction, at, trailing);
  const start = skipBlanks(instruction.line.text, at);
  switch (command.form) {
    case "shell":
      return draft.scope.shell === undefined ? inShell(command.script) : [...draft.scope.shell, command.script];
    case "file":
      return fail(instruction, start, instruction.line.text.trimEnd().length, {
        code: "bad-heredoc",
        message: "a heredoc that starts with #! is of RUN alone",
        expected: "lines for a shell, or a program that COPY brings",
      });
    case "exec":
      if (command.command.length > 0 && command.command[0] !== "") return command.command;
      return fail(instruction, start, command.array.end, {
        code: "bad-value",
        message: "the command is empty",
        expected: "a program and its arguments",
      });
  }
}
