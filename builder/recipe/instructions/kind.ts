import { badValue, type FlagSpecs, flag, onlyWord, readArguments } from "../arguments.ts";
import type { Draft } from "../draft.ts";
import { type Problem, ProblemFound, type ProblemText } from "../problem.ts";
import { atKeyword, fail, type Instruction } from "../split.ts";
import { duration, oneOf } from "../values.ts";

const FLAGS: FlagSpecs = { timeout: { kind: "value" } };
const KINDS = ["service", "job"] as const;
const JOB_TIMEOUT = 3_600_000;

/** Kinds of other systems, and what does their work here. */
const INSTEAD: Readonly<Record<string, string>> = {
  autoscale: "a node runs each app once: more of them are more nodes, which somebody else starts",
  cron: "KIND job, and a timer or a cron table of the node that says: hostd run APP",
  daemonset: "KIND service: every node that it is deployed to runs it once",
  canary: "how a version reaches the nodes is said when it is rolled out, not in its image",
};

/** What a job cannot have, and why. */
const NOT_OF_A_JOB: Readonly<Record<string, string>> = {
  LISTEN: "a job takes no connections",
  HEALTH: "a job is judged by its exit code",
  HEALTHCHECK: "a job is judged by its exit code",
  SWITCH: "no two versions of a job run beside each other",
  DRAIN: "a job is never stopped for the next version: that waits for its end",
  QUIESCE: "a job does not run while its data is copied",
  RESUME: "a job does not run while its data is copied",
  BOOT: "a host does not run to its end",
};

/** `KIND service|job [--timeout=1h]`: an app that goes on, or one that runs to its end and is judged by its exit code. */
export function readKind(instruction: Instruction, draft: Draft): void {
  const { flags, words } = readArguments(instruction, draft, FLAGS);
  const at = onlyWord(instruction, words, KINDS.join(" or "));
  const hint = Object.hasOwn(INSTEAD, at.value) ? INSTEAD[at.value] : undefined;
  if (hint !== undefined) {
    const message = `KIND ${at.value} is not supported`;
    fail(instruction, at.start, at.end, { code: "not-supported", message, expected: KINDS.join(" or "), hint });
  }
  const kind = oneOf(instruction, at, "kind", KINDS);
  const first = draft.declared.find(({ keyword }) => keyword === instruction.keyword);
  if (first !== undefined) {
    const message = `second KIND: the first is in line ${first.firstLine}`;
    throw new ProblemFound(atKeyword(instruction, { code: "duplicate", message, expected: "one KIND" }));
  }
  const timeout = flag(flags, "timeout");
  if (timeout !== undefined && kind === "service") {
    badValue(instruction, timeout, "--timeout is of a job alone", { expected: "KIND job --timeout=1h" });
  }
  if (kind === "job")
    draft.image.job = { timeout: timeout === undefined ? JOB_TIMEOUT : duration(instruction, timeout) };
}

/** What stands in a job's recipe and is of a service alone, wherever it stands. */
export function checkKind(draft: Draft): Problem[] {
  if (draft.image.job === undefined) return [];
  return draft.declared.flatMap((instruction) => {
    const text = problemOf(instruction, draft);
    return text === undefined ? [] : [atKeyword(instruction, text)];
  });
}

function problemOf(instruction: Instruction, { image }: Draft): ProblemText | undefined {
  const { keyword, firstLine } = instruction;
  const line = image.config.find(({ position }) => position.line === firstLine);
  const why = keyword === "CONFIG" && line?.reload !== undefined ? RELOAD : NOT_OF_A_JOB[keyword];
  const isTakenAway = keyword === "HEALTHCHECK" && image.healthcheck === undefined;
  if (why === undefined || isTakenAway) return undefined;
  const what = why === RELOAD ? "CONFIG --reload" : keyword;
  return { code: "bad-value", message: `${what} in a job: ${why}`, expected: `KIND service, or no ${what}` };
}

const RELOAD = "each run reads its files anew";
