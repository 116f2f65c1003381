import { describe, expect, test } from "vitest";
import { openClient } from "../../../../hostd/client.ts";
import { answerOf, exitCodeOf, follow } from "../../../../hostd/verbs/answer.ts";
import { type OperationDocument, operationExample } from "../../../../manifests/node.ts";

const done: OperationDocument = { ...operationExample, state: "done", reverted: false };

function failed(outcome: "failed" | "refused" | "busy" | "usage"): OperationDocument {
  return { ...operationExample, reason: { outcome, code: "x", message: "because" } };
}

describe("the exit code of an operation", () => {
  test.each<[string, OperationDocument, number]>([
    ["done is 0", done, 0],
    ["failed and taken back is never 0", failed("failed"), 1],
    ["refused by policy is 3", failed("refused"), 3],
    ["busy is 4", failed("busy"), 4],
  ])("%s", (_title, operation, expected) => {
    expect(exitCodeOf(operation)).toBe(expected);
  });

  test("of one that we left under way is 0: it goes on", () => {
    const { finished: _, reason: __, ...running } = done;
    expect(exitCodeOf({ ...running, state: "running" })).toBe(0);
  });
});

describe("an operation whose hostd went away", () => {
  const { finished: _, reason: __, ...rest } = operationExample;
  const running: OperationDocument = { ...rest, state: "running" };
  const nobody = openClient("/nonexistent/hostd.sock");
  const open = { progress: () => {}, signal: new AbortController().signal };

  test("has an end that is not known: the error names it and what will tell", async () => {
    await expect(follow(nobody, running, open, 0)).rejects.toMatchObject({
      code: "not-running",
      message: expect.stringMatching(`^operation ${running.id}: ${running.kind} ${running.app}: its end is not known`),
      hint: `once hostd runs: hostd changes ${running.id}`,
    });
  });

  test("may be left: it is told as it stood", async () => {
    expect(await follow(nobody, running, { ...open, signal: AbortSignal.abort() })).toBe(running);
  });
});

test("the text of a revert says that it failed, why, what was kept, and how the old generation is", () => {
  const { text, json } = answerOf(operationExample);
  expect(text).toContain("failed and taken back after 31.0 s");
  expect(text).toContain("why: http://localhost:8080/healthz: expected status 2xx, got 500");
  expect(text).toContain("kept the data written meanwhile (format 2)");
  expect(text).toContain("generation 3 is healthy again");
  expect(json).toBe(operationExample);
});

test("the text of a failure says what the hook printed that failed, its last lines", () => {
  const output = Array.from({ length: 30 }, (_, number) => `line ${number}\n`).join("");
  const reason = { outcome: "failed", code: "hook-failed", message: "exit code 3", details: { output } } as const;
  const { text } = answerOf({ ...operationExample, reason });
  expect(text).toContain("  why: exit code 3\n    | line 20\n");
  expect(text).toContain("    | line 29\n");
});

test("the text of a run says how the job ended, how long it took, and the last of what it printed", () => {
  const log = Array.from({ length: 30 }, (_, number) => `line ${number}\n`).join("");
  const run = { started: "2026-11-21T03:00:00.000Z", ended: "2026-11-21T03:00:02.500Z", exitCode: 0, log };
  const { text } = answerOf({ ...done, kind: "run", run });
  expect(text).toContain("  run: exit code 0 after 2.5 s\n    | line 20\n");
  expect(text).toContain("    | line 29");
  expect(text).not.toContain("line 19");
  expect(answerOf({ ...done, run: { started: run.started } }).text).toContain("run: its end is not known");
});
