import { parseSignal, SIGNAL_NAMES } from "../../../manifests/signal.ts";
import { nearest } from "../../../terminal/nearest.ts";
import { badValue, type FlagSpecs, flag, onlyWord, readArguments } from "../arguments.ts";
import { readArgv, readCommand } from "../command.ts";
import { addStep, type Draft, keywordSpan, warn } from "../draft.ts";
import { readJsonArray } from "../json.ts";
import { quote } from "../problem.ts";
import { fail, type Instruction } from "../split.ts";
import { duration, imagePath, owner, port } from "../values.ts";

const STOP_FLAGS: FlagSpecs = { timeout: { kind: "value" } };

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

/**
 * `STOPSIGNAL [--timeout=10s] SIGTERM`, also without SIG, or a number: what asks the app to end, and how long it may take
 * until it is killed.
 */
export function readStopSignal(instruction: Instruction, draft: Draft): void {
  const { flags, words } = readArguments(instruction, draft, STOP_FLAGS);
  const at = onlyWord(instruction, words, "a signal such as SIGTERM");
  const signal = parseSignal(at.value);
  if (signal === undefined) {
    const expected = "a signal such as SIGTERM or SIGRTMIN+3, or a number from 1 to 64";
    const suggestion = nearest(at.value.toUpperCase().replace(/^(?!SIG)/, "SIG"), SIGNAL_NAMES);
    badValue(instruction, at, `unknown signal ${quote(at.value)}`, { expected, suggestion });
  }
  const timeout = flag(flags, "timeout");
  draft.image.stopSignal = signal.name;
  draft.image.stopTimeout = timeout === undefined ? undefined : duration(instruction, timeout);
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
