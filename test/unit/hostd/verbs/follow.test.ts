import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { newPart } from "../../../../hostd/verbs/follow.ts";

describe("newPart", () => {
  test.each([
    ["", "a\n", "a\n", false],
    ["a\n", "a\n", "", false],
    ["a\n", "a\nb\n", "b\n", false],
    ["a\nb\nc\n", "b\nc\nd\n", "d\n", false],
    ["a\nb\n", "x\nc\n", "x\nc\n", true],
    ["a\nü\nb\n", "\ufffd\nb\nc\n", "c\n", false],
    ["abcabc", "abcabd", "abd", false],
  ])("after %j, %j adds %j", (before, now, text, gap) => {
    expect(newPart(before, now)).toEqual({ text, gap });
  });

  test("put together, the parts are the whole log, whatever window is seen and however it moves", () => {
    const lines = fc.array(fc.tuple(fc.integer({ min: 0, max: 9_999 }), fc.string({ maxLength: 8 })), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(lines, fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 30 }), (texts, steps) => {
        const log = texts.map(([, text], index) => `${index} ${text.replaceAll("\n", " ")}\n`).join("");
        let [end, before, seen] = [0, "", ""];
        for (const step of steps) {
          end = Math.min(log.length, end + step);
          const now = log.slice(Math.max(0, end - 40), end);
          seen += newPart(before, now).text;
          before = now;
        }
        expect(seen).toBe(log.slice(0, end));
      }),
    );
  });

  test("is quick for two windows of 64 KiB that have nothing in common", () => {
    const started = process.cpuUsage();
    expect(newPart("ab".repeat(32_000), `c${"ab".repeat(32_000)}`).gap).toBe(true);
    const { user, system } = process.cpuUsage(started);
    expect((user + system) / 1_000).toBeLessThan(500);
  });
});
