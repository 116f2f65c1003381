import { expect, test } from "vitest";
import { openProgress, progressBar } from "../../../terminal/progress.ts";

function capture(kind: "auto" | "plain" | "jsonl" | "none", isTTY = false) {
  const written: string[] = [];
  const progress = openProgress(kind, { isTTY, columns: 40, write: (text) => written.push(text) });
  return { progress, text: () => written.join("") };
}

test("where nobody watches, auto holds each step once, with its time, and no output", () => {
  const { progress, text } = capture("auto");
  progress.report({ id: "1", state: "started", text: "step 1/2 RUN make" });
  progress.report({ id: "1", state: "output", text: "cc a.c\n" });
  progress.report({ id: "1", state: "done", text: "step 1/2 RUN make", took: 1500 });
  expect(text()).toBe("✓ step 1/2 RUN make 1.5 s\n");
});

test("plain progress shows the programs' output as well", () => {
  const { progress, text } = capture("plain");
  progress.report({ id: "1", state: "started", text: "step 1/2 RUN make" });
  progress.report({ id: "1", state: "output", text: "cc a.c\n" });
  progress.report({ id: "1", state: "done", text: "step 1/2 RUN make", took: 1500 });
  progress.report({ id: "2", state: "cached", text: "step 2/2 COPY" });
  progress.close();
  expect(text()).toBe("  | cc a.c\n✓ step 1/2 RUN make 1.5 s\n= step 2/2 COPY (cached)\n");
});

test("jsonl progress is one versioned object a line", () => {
  const { progress, text } = capture("jsonl");
  progress.report({ id: "1", state: "done", text: "staged", fraction: 1 });
  expect(text()).toBe('{"version":1,"id":"1","state":"done","text":"staged","fraction":1}\n');
});

test("none says nothing", () => {
  const { progress, text } = capture("none");
  progress.report({ id: "1", state: "failed", text: "x" });
  expect(text()).toBe("");
});

test("a live line never exceeds the terminal's width nor passes control characters on", async () => {
  const { progress, text } = capture("auto", true);
  progress.report({ id: "1", state: "started", text: `step ${"x".repeat(100)}` });
  progress.report({ id: "1", state: "output", text: "\x1b[2Jhidden" });
  progress.report({ id: "1", state: "started", text: `step ${"x".repeat(5)}` });
  progress.close();
  const lines = text()
    .replaceAll(/\x1b\[\d+F\x1b\[J/g, "")
    .trimEnd()
    .split("\n");
  expect(lines.every((line) => line.length < 40)).toBe(true);
  expect(text()).not.toContain("\x1b[2J");
});

test("on a terminal a long step leaves room for its program's output, and ends as one line with its time", () => {
  const { progress, text } = capture("auto", true);
  progress.report({ id: "1", state: "started", text: `RUN ${"x".repeat(100)}` });
  progress.report({ id: "1", state: "output", text: "cc a.c" });
  progress.report({ id: "2", state: "cached", text: "COPY" });
  expect(text()).toContain("cc a.c");
  progress.report({ id: "1", state: "done", text: `RUN ${"x".repeat(100)}`, took: 1500 });
  expect(text()).toContain(`\x1b[32m✓ RUN ${"x".repeat(26)}… 1.5 s\x1b[0m\n`);
});

test("progressBar fills with the fraction", () => {
  expect(progressBar(0.5)).toBe("[##########----------]  50%");
});
