import type { RunCommand } from "../recipe/recipe.ts";
import type { Tree } from "../tree/tree.ts";

/** Where the step's own text lies inside the sandbox: in /dev, which is never part of a layer. */
const SCRIPT = "/dev/ostler/step";

/** What a step executes: the argument list, and the script file that it names. */
export interface Program {
  command: string[];
  script?: { path: string; content: string };
}

// `-u` and `-o pipefail` as the design says; inherit_errexit, so that a failure inside $(...) is one too
const BASH = ["bash", "-O", "inherit_errexit", "-euo", "pipefail", SCRIPT];

// Debian 12's dash has no pipefail: there a pipe is refused, since its failure would go unseen (docs/recipe.md, RUN)
const PIPEFAIL = `if (set -o pipefail) 2>/dev/null; then set -o pipefail
elif [ "$1" = pipe ]; then
  echo "ostler: expected a shell that sees a failed pipe (bash, or a sh with pipefail) since this text has one" >&2
  exit 125
fi`;
const POSIX = `${PIPEFAIL}\n. ${SCRIPT}`;

const STRICT = `if command -v bash >/dev/null 2>&1; then exec bash -O inherit_errexit -euo pipefail -c "$2"; fi
${PIPEFAIL}
eval "$2"`;

/**
 * How a RUN is executed in a tree. Text runs under bash where the tree has it and else under its sh, so that a line or
 * a pipe that fails fails the step, in heredocs too. A shell that SHELL names gets the text as it is, as in Docker.
 */
export function programOf(run: RunCommand, tree: Tree): Program {
  switch (run.form) {
    case "exec":
      return { command: run.command };
    case "file":
      return { command: [SCRIPT], script: { path: SCRIPT, content: run.content } };
    case "shell": {
      if (run.shell !== undefined) return { command: [...run.shell, run.script] };
      const script = { path: SCRIPT, content: `${run.script}\n` };
      if (tree.read("bin/bash") !== undefined || tree.read("usr/bin/bash") !== undefined)
        return { command: BASH, script };
      return { command: ["sh", "-euc", POSIX, "sh", pipeWord(run.script)], script };
    }
  }
}

/**
 * The command of shell text that runs later, in whatever image it comes with: as strict as a RUN, under bash where the
 * image has it and else under its sh.
 */
export function strictShell(script: string): string[] {
  return ["/bin/sh", "-euc", STRICT, "sh", pipeWord(script), script];
}

function pipeWord(script: string): "pipe" | "plain" {
  return usesPipe(script) ? "pipe" : "plain";
}

/** True where shell text may hold a pipe: a `|` that is not `||`, outside quotes and comments. */
export function usesPipe(script: string): boolean {
  const bare = script
    .replace(/\\[\s\S]/g, "")
    .replace(/'[^']*'/g, "''")
    .replace(/(^|\s)#.*$/gm, "$1")
    .replace(/\|\|/g, "");
  return bare.includes("|");
}
