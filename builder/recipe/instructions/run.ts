import { type Argument, badValue, type FlagSpecs, flag, readFlags } from "../arguments.ts";
import { readArgv, readCommand } from "../command.ts";
import { addStep, type Draft, sectionOf } from "../draft.ts";
import { LIMITS } from "../limits.ts";
import { readMount } from "../mount.ts";
import { collecting, type Problem, ProblemFound } from "../problem.ts";
import type { Mount, Network, RunCommand } from "../recipe.ts";
import { fail, type Instruction } from "../split.ts";
import { oneOf } from "../values.ts";

const FLAGS: FlagSpecs = { mount: { kind: "raw", many: true }, network: { kind: "value" } };

/** `RUN [--mount=...] [--network=...] command`: text for a shell, a JSON array, or heredocs. */
export function readRun(instruction: Instruction, draft: Draft): void {
  const { flags, rest } = readFlags(instruction, draft, FLAGS);
  const mounts = readMounts(instruction, draft, flags.get("mount") ?? []);
  const network = readNetwork(
    instruction,
    flag(flags, "network"),
    sectionOf(draft) === "bootstrap" ? "default" : "none",
  );
  addStep(draft, instruction, { kind: "run", command: readRunCommand(instruction, draft, rest), mounts, network });
}

/** The mounts of RUN and TEST; two on one target are refused. */
export function readMounts(instruction: Instruction, draft: Draft, flags: readonly Argument[]): Mount[] {
  const problems: Problem[] = [];
  const targets = new Set<string>();
  const mounts = flags.flatMap((at) => {
    if (problems.length >= LIMITS.problems) return [];
    const mount = collecting(problems, () => readMount(instruction, draft, at));
    if (mount?.target === undefined) return mount === undefined ? [] : [mount];
    if (targets.has(mount.target)) {
      collecting(problems, () =>
        fail(instruction, at.start, at.end, { code: "duplicate", message: `two mounts on ${mount.target}` }),
      );
    }
    targets.add(mount.target);
    return [mount];
  });
  if (problems.length > 0) throw new ProblemFound(...problems);
  return mounts;
}

export function readNetwork(instruction: Instruction, at: Argument | undefined, usual: Network): Network {
  if (at === undefined) return usual;
  if (at.value === "host") {
    badValue(instruction, at, "the host's own network is not given to steps", { expected: "default or none" });
  }
  return oneOf(instruction, at, "network", ["default", "none"] as const);
}

function readRunCommand(instruction: Instruction, draft: Draft, rest: number): RunCommand {
  const command = readCommand(instruction, rest);
  switch (command.form) {
    case "file":
      return command;
    case "exec":
      return { form: "exec", command: readArgv(instruction, draft, rest) };
    case "shell":
      return { ...command, shell: draft.scope.shell };
  }
}
