import { constants } from "node:os";
import { nearest } from "../../../terminal/nearest.ts";
import { badValue, onlyWord, readArguments } from "../arguments.ts";
import { readArgv, readCommand } from "../command.ts";
import { addStep, type Draft, keywordSpan, warn } from "../draft.ts";
import { readJsonArray } from "../json.ts";
import { quote } from "../problem.ts";
import { fail, type Instruction } from "../split.ts";
import { imagePath, owner, port } from "../values.ts";

/** `WORKDIR path`: made when it is missing; a relative path goes on from the one above. */
export function readWorkdir(instruction: Instruction, draft: Draft): void {
  const at = onlyWord(instruction, readArguments(instruction, draft, {}).words, "an absolute path");
  draft.scope.workdir = imagePath(instruction, at, draft.scope.workdir);
  draft.scope.hasWorkdir = true;
  addStep(draft, instruction, { kind: "workdir" });
}

/** `USER name[:group]`: who runs the steps below, and the app. */
export function readUser(instruction: Instruction, draft: Draft): void {
  const at = onlyWord(instruction, readArguments(instruction, draft, {}).words, "user or user:group");
  owner(instruction, at);
  draft.scope.user = at.value;
}

/** `SHELL ["/bin/bash", "-c"]`: what reads the shell form of the instructions below. */
export function readShell(instruction: Instruction, draft: Draft): void {
  const { line, rest } = instruction;
  const expected = 'a JSON array: ["/bin/bash", "-euo", "pipefail", "-c"]';
  if (line.text[rest] !== "[") {
    const message = "SHELL takes a JSON array";
    fail(instruction, rest, line.text.trimEnd().length, { code: "bad-syntax", message, expected });
  }
  readJsonArray(line, rest);
  draft.scope.shell = readArgv(instruction, draft, rest);
}

/** `ENTRYPOINT`: the last one holds, as in a Dockerfile; `[]` clears the base image's. */
export function readEntrypoint(instruction: Instruction, draft: Draft): void {
  warnOfSecond(draft, instruction);
  draft.image.entrypoint = readProgram(instruction, draft);
}

/** `CMD`: the default arguments of ENTRYPOINT, or the command. */
export function readCmd(instruction: Instruction, draft: Draft): void {
  warnOfSecond(draft, instruction);
  draft.image.cmd = readProgram(instruction, draft);
}

/** `STOPSIGNAL SIGTERM`, also without SIG, or a number. */
export function readStopSignal(instruction: Instruction, draft: Draft): void {
  const at = onlyWord(instruction, readArguments(instruction, draft, {}).words, "a signal such as SIGTERM");
  const known = Object.keys(constants.signals);
  const upper = at.value.toUpperCase();
  const name = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  if (known.includes(name)) draft.image.stopSignal = name;
  else if (/^\d{1,2}$/.test(at.value) && Number(at.value) >= 1 && Number(at.value) <= 64) {
    draft.image.stopSignal = String(Number(at.value));
  } else {
    const expected = "a signal such as SIGTERM, or a number from 1 to 64";
    badValue(instruction, at, `unknown signal ${quote(at.value)}`, { expected, suggestion: nearest(name, known) });
  }
}

/** `EXPOSE port[/tcp|udp] ...`, `EXPOSE 8000-8010`: tells readers only; LISTEN opens a port. */
export function readExpose(instruction: Instruction, draft: Draft): void {
  const { words } = readArguments(instruction, draft, {});
  if (words.length === 0) onlyWord(instruction, words, "a port such as 8080 or 53/udp");
  for (const word of words) {
    const [, from = "", to = from, protocol = "tcp"] =
      /^(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/i.exec(word.value) ?? [];
    if (from === "") {
      const expected = "a port such as 8080, 53/udp or 8000-8010";
      badValue(instruction, word, `bad port ${quote(word.value)}`, { expected });
    }
    const first = port(instruction, { ...word, value: from });
    const last = port(instruction, { ...word, value: to });
    if (last < first) badValue(instruction, word, `port range ${quote(word.value)} ends before it starts`);
    draft.image.expose.add(`${first === last ? first : `${first}-${last}`}/${protocol.toLowerCase()}`);
  }
}

function readProgram(instruction: Instruction, draft: Draft): string[] {
  const command = readCommand(instruction, instruction.rest);
  if (command.form === "exec" && command.command.length === 0) return [];
  return readArgv(instruction, draft, instruction.rest, { inShell: (script) => ["/bin/sh", "-c", script] });
}

function warnOfSecond(draft: Draft, instruction: Instruction): void {
  const first = draft.declared.find((other) => other.keyword === instruction.keyword);
  if (first === undefined) return;
  warn(draft, instruction, keywordSpan(instruction), {
    code: "suspicious",
    message: `second ${instruction.keyword}: the one in line ${first.firstLine} has no effect`,
  });
}
