import { type Argument, badValue, type FlagSpecs, type Flags, flag, readFlags } from "../arguments.ts";
import { readArgv, readCommand } from "../command.ts";
import { type Draft, textOf } from "../draft.ts";
import { ProblemFound, quote } from "../problem.ts";
import type { HookName } from "../recipe.ts";
import { environmentOf } from "../scope.ts";
import { positionAt } from "../source.ts";
import { atKeyword, fail, type Instruction } from "../split.ts";
import { duration } from "../values.ts";
import { isEnd } from "../words.ts";
import { readMounts, readNetwork } from "./run.ts";

const HOOK_FLAGS: FlagSpecs = { timeout: { kind: "value" } };
const TEST_FLAGS: FlagSpecs = {
  mount: { kind: "raw", many: true },
  network: { kind: "value" },
  name: { kind: "value" },
  timeout: { kind: "value" },
};
const HOOK_TIMEOUT = 60_000;
const TEST_TIMEOUT = 600_000;

/**
 * `DRAIN|MIGRATE|READY|REVERTED|QUIESCE|RESUME [--timeout=60s] command`: what hostd runs in the image at that point of
 * a switch or of a snapshot.
 */
export function readHook(instruction: Instruction, draft: Draft): void {
  const name = instruction.keyword.toLowerCase() as HookName;
  const { flags, command } = readFlaggedCommand(instruction, draft, HOOK_FLAGS);
  if (draft.image.hooks[name] !== undefined) {
    const first = draft.declared.find((other) => other.keyword === instruction.keyword);
    const message = `second ${instruction.keyword}: the first is in line ${first?.firstLine}`;
    throw new ProblemFound(
      atKeyword(instruction, { code: "duplicate", message, expected: "one command for each hook" }),
    );
  }
  const timeoutAt = flag(flags, "timeout");
  const timeout = timeoutAt === undefined ? HOOK_TIMEOUT : duration(instruction, timeoutAt);
  draft.image.hooks = { ...draft.image.hooks, [name]: { command, timeout } };
}

/** `TEST [--name --mount --network --timeout] command`: a suite that `ostler ci` runs in the built image. */
export function readTest(instruction: Instruction, draft: Draft): void {
  const { flags, command, end } = readFlaggedCommand(instruction, draft, TEST_FLAGS);
  const mounts = readMounts(instruction, draft, flags.get("mount") ?? []);
  const timeoutAt = flag(flags, "timeout");
  draft.image.tests.push({
    name: suiteName(instruction, draft, flag(flags, "name")),
    command,
    mounts,
    network: readNetwork(instruction, flag(flags, "network"), "none"),
    timeout: timeoutAt === undefined ? TEST_TIMEOUT : duration(instruction, timeoutAt),
    env: environmentOf(draft.scope),
    workdir: draft.scope.workdir,
    user: draft.scope.user,
    text: textOf(instruction, end),
    position: positionAt(instruction.line, instruction.start),
  });
}

/** Flags stand before the command; behind a JSON array they may stand too. */
function readFlaggedCommand(instruction: Instruction, draft: Draft, specs: FlagSpecs) {
  const before = readFlags(instruction, draft, specs);
  const read = readCommand(instruction, before.rest, true);
  const command = readArgv(instruction, draft, before.rest, { trailing: true });
  if (read.form !== "exec") return { flags: before.flags, command, end: instruction.line.text.length };
  const after = readFlags(instruction, draft, specs, read.array.end);
  const { text } = instruction.line;
  if (!isEnd(instruction.line, after.rest)) {
    const end = text.trimEnd().length;
    const message = `unexpected ${quote(text.slice(after.rest, end))} after the JSON array`;
    fail(instruction, after.rest, end, { code: "bad-json", message, expected: "flags, or the end of the instruction" });
  }
  return { flags: merge(instruction, specs, before.flags, after.flags), command, end: after.rest };
}

function merge(instruction: Instruction, specs: FlagSpecs, before: Flags, after: Flags): Flags {
  const merged = new Map(before);
  for (const [name, values] of after) {
    const [first] = values;
    const earlier = merged.get(name) ?? [];
    if (earlier.length > 0 && specs[name]?.many === undefined && first !== undefined) {
      fail(instruction, first.start, first.end, { code: "duplicate", message: `flag --${name} given twice` });
    }
    merged.set(name, [...earlier, ...values]);
  }
  return merged;
}

function suiteName(instruction: Instruction, draft: Draft, at: Argument | undefined): string {
  const taken = draft.image.tests.map((test) => test.name);
  if (at === undefined) {
    const free = (number: number): string => {
      const name = number === 1 ? "test" : `test-${number}`;
      return taken.includes(name) ? free(number + 1) : name;
    };
    return free(Math.max(1, taken.length));
  }
  if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(at.value)) {
    badValue(instruction, at, `bad suite name ${quote(at.value)}`, { expected: "lower-case letters, digits and -" });
  }
  if (taken.includes(at.value)) {
    fail(instruction, at.start, at.end, { code: "duplicate", message: `second suite ${quote(at.value)}` });
  }
  return at.value;
}
