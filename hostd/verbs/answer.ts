import { setTimeout as delay } from "node:timers/promises";
import { hasErrno } from "../../effects/errno.ts";
import { EXIT_CODES, Failure, toFailureDocument } from "../../manifests/failure.ts";
import type { OperationDocument } from "../../manifests/node.ts";
import type { Answer, Invocation, OptionSpec } from "../../terminal/verb.ts";
import { type Client, openClient } from "../client.ts";
import { HostdError } from "../error.ts";
import { howRunEnded } from "../exit.ts";

/** Lines of what a job or a hook printed that are shown with its end. */
const LINES_SHOWN = 10;

/**
 * How long hostd may be away while an operation is followed: as long as its manager lets a start take (unit.ts). And the
 * pause between two looks. Milliseconds.
 */
const COMING_BACK = 600_000;
const PAUSE = 250;

/** Options of every verb that asks hostd. */
export const SOCKET_OPTION: OptionSpec = {
  flags: "--socket <path>",
  summary: "hostd's socket (default $HOSTD_SOCKET, else /run/hostd/hostd.sock)",
};

/** Options of every verb that begins an operation. */
export const OPERATION_OPTIONS: readonly OptionSpec[] = [
  SOCKET_OPTION,
  { flags: "--request-id <id>", summary: "a repeat with the same id begins nothing and shows the first one" },
  { flags: "--wait", summary: "wait for the end (the default)" },
  { flags: "--no-wait", summary: "answer as soon as hostd has begun" },
];

/** Options of verbs that may lead to another version of the host. */
export const UPGRADE_OPTIONS: readonly OptionSpec[] = [
  { flags: "--confirm-within <seconds>", summary: "of the host: take it back unless hostd confirm comes in time" },
  { flags: "--reboot", summary: "of the host: reboot even where hostd alone could be exchanged" },
  { flags: "--break-glass <reason>", summary: "of the host: go there though the policy is against it" },
];

/** What those options ask for. */
export function upgradeOf({ options }: Invocation) {
  const { confirmWithin, breakGlass, reboot } = options;
  return { confirmWithin, breakGlass, ...(reboot === true ? { reboot } : {}) };
}

export function clientOf(invocation: Invocation): Client {
  return openClient(text(invocation.options["socket"]), invocation.signal);
}

export function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

export function argument(invocation: Invocation, index: number): string {
  return text(invocation.arguments[index]) ?? "";
}

/** An operation's number as somebody typed it. */
export function operationNumber(word: string): number {
  if (/^\d{1,9}$/.test(word)) return Number(word);
  throw new Failure("usage", "bad-argument", `expected an operation's number, got ${word}`, {
    hint: "hostd changes lists them",
  });
}

/** Begins an operation and follows it; Ctrl-C detaches, the operation goes on. */
export async function operate(
  invocation: Invocation,
  app: string,
  verb: string,
  body: Record<string, unknown>,
): Promise<Answer> {
  const client = clientOf(invocation);
  const requestId = text(invocation.options["requestId"]);
  const begun = await client.begin(app, verb, { ...body, ...(requestId === undefined ? {} : { requestId }) });
  return invocation.options["wait"] === false ? answerOf(begun) : await answerAtEnd(client, begun, invocation);
}

/** The answer of an operation once it has ended; of one that was left before, how it stood. */
export async function answerAtEnd(client: Client, begun: OperationDocument, invocation: Invocation): Promise<Answer> {
  const last = await follow(client, begun, invocation);
  const answer = answerOf(last);
  if (last.finished !== undefined) return answer;
  return {
    ...answer,
    text: `${answer.text}\n  it goes on: hostd changes ${last.id} shows its end`,
    exitCode: EXIT_CODES.left,
  };
}

/**
 * Follows an operation to its end, or until we leave; also across a new start of hostd, in which it goes on. Where hostd
 * does not come back, the error names the operation.
 */
export async function follow(
  client: Client,
  operation: OperationDocument,
  { progress, signal }: Pick<Invocation, "progress" | "signal">,
  comingBack = COMING_BACK,
): Promise<OperationDocument> {
  const { id, kind, app } = operation;
  for (let last = operation, awaySince: number | undefined; ; ) {
    try {
      last = awaySince === undefined ? last : await client.operation(id);
      awaySince = undefined;
      return await client.wait(last, progress, signal);
    } catch (error) {
      if (signal.aborted) return last;
      if (!isAway(error)) throw error;
      if (awaySince === undefined) {
        progress({ id: `operation-${id}`, state: "started", text: `${kind} ${app}: waiting for hostd to come back` });
      }
      awaySince ??= Date.now();
      if (Date.now() - awaySince > comingBack) throw notBack(operation, comingBack, error);
      await delay(PAUSE, undefined, { signal }).catch(() => {});
    }
  }
}

function notBack({ id, kind, app }: OperationDocument, comingBack: number, cause: unknown): HostdError {
  const expected = `expected hostd back within ${comingBack / 1_000} s, it does not answer`;
  return new HostdError("not-running", `operation ${id}: ${kind} ${app}: its end is not known: ${expected}`, {
    cause,
    hint: `once hostd runs: hostd changes ${id}`,
  });
}

/** Whether an error says that hostd is gone, or went while it was asked: a new start of it may answer. */
export function isAway(error: unknown): boolean {
  return (error instanceof Failure && error.code === "not-running") || hasErrno(error, "ECONNRESET", "EPIPE");
}

/** The answer of a verb that began an operation; its exit code is never 0 for one that failed or was reverted. */
export function answerOf(operation: OperationDocument): Answer {
  return { json: operation, text: describe(operation), exitCode: exitCodeOf(operation) };
}

/** Where one app of several is refused: that is told beside what becomes of the others. Rethrows where hostd cannot be asked, or we are gone. */
export function answerOfRefusal(app: string): (error: unknown) => Answer {
  return (error) => {
    if (!(error instanceof Failure) || ["not-running", "not-permitted", "left"].includes(error.code)) throw error;
    const refused = toFailureDocument(error);
    const hint = refused.hint === undefined ? [] : [`  hint: ${refused.hint}`];
    const text = [`${app}: ${refused.message}`, ...hint].join("\n");
    return { json: { app, error: refused }, text, exitCode: EXIT_CODES[refused.outcome] };
  };
}

export function exitCodeOf(operation: OperationDocument): number {
  if (operation.state === "done" || operation.finished === undefined) return EXIT_CODES.ok;
  return EXIT_CODES[operation.reason?.outcome ?? "failed"];
}

function describe(operation: OperationDocument): string {
  const about = `operation ${operation.id}: ${operation.kind} ${operation.app}${operation.version === undefined ? "" : ` ${operation.version}`}`;
  const notes = operation.notes.map((note) => `  ${note.replaceAll("\n", "\n  ")}`);
  const took = tookOf(operation);
  return [
    `${about}: ${howItStands(operation)}${took === "" ? "" : ` after ${took}`}`,
    ...reasonLines(operation),
    ...runLines(operation),
    ...notes,
    ...afterwardsLines(operation),
  ].join("\n");
}

/** How an operation stands, in words for people. */
export function howItStands(operation: OperationDocument): string {
  if (operation.finished === undefined) return `under way (${operation.progress?.text ?? operation.state})`;
  if (operation.state === "done") return "done";
  if (operation.reason?.outcome === "refused") return "refused";
  return operation.reverted ? "failed and taken back" : "failed";
}

/** How long an ended operation took; nothing for one under way. */
export function tookOf({ started, finished }: OperationDocument): string {
  return finished === undefined ? "" : `${((Date.parse(finished) - Date.parse(started)) / 1000).toFixed(1)} s`;
}

function reasonLines({ reason }: OperationDocument): string[] {
  if (reason === undefined) return [];
  return [
    `  why: ${reason.message.replaceAll("\n", "\n    ")}`,
    ...printedLines(text(reason.details?.["output"])),
    ...(reason.hint === undefined ? [] : [`  hint: ${reason.hint}`]),
  ];
}

/** How the job ended that it ran, and the last of what that printed. */
function runLines({ run, finished }: OperationDocument): string[] {
  if (run === undefined || (finished === undefined && run.ended === undefined)) return []; // it is under way
  return [`  run: ${howRunEnded(run)}`, ...printedLines(run.log)];
}

function printedLines(output = ""): string[] {
  const printed = output.trimEnd().split("\n").slice(-LINES_SHOWN);
  return printed.filter((line) => line !== "").map((line) => `    | ${line}`);
}

function afterwardsLines({ afterwards, from }: OperationDocument): string[] {
  if (afterwards === undefined) return [];
  const how = afterwards.healthy ? "is healthy again" : "is NOT healthy";
  return [`  generation ${from} ${how}: ${afterwards.detail}`];
}
