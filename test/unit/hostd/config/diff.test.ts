import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { diffFile, diffLines } from "../../../../hostd/config/diff.ts";

describe("diffFile", () => {
  test("is a unified diff with three lines around a change", () => {
    const before = ["1", "2", "3", "4", "5", "6", "7", "8", "9", ""].join("\n");
    const after = before.replace("5", "five").replace("9", "9\n10");
    expect(diffFile("/etc/a", before, after)).toBe(
      [
        "--- a/etc/a",
        "+++ b/etc/a",
        "@@ -2,8 +2,9 @@",
        " 2",
        " 3",
        " 4",
        "-5",
        "+five",
        " 6",
        " 7",
        " 8",
        " 9",
        "+10",
      ].join("\n"),
    );
  });

  test("a file that comes or goes, and one without a newline at its end", () => {
    expect(diffFile("/a", undefined, "x\n")).toBe("--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+x");
    expect(diffFile("/a", "x\n", undefined)).toBe("--- a/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-x");
    expect(diffFile("/a", "x\n", "x")).toBe("--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+x\n\\ No newline at end of file");
    expect(diffFile("/a", "x", "x")).toBe("");
  });

  test("changes far apart are told apart", () => {
    const lines = Array.from({ length: 30 }, (_, at) => `${at}`);
    const after = lines.with(2, "a").with(25, "b");
    expect(diffLines(`${lines.join("\n")}\n`, `${after.join("\n")}\n`).filter((line) => line.startsWith("@@"))).toEqual(
      ["@@ -1,6 +1,6 @@", "@@ -23,7 +23,7 @@"],
    );
  });

  test("a patch made of it leads from one text to the other", () => {
    const text = fc
      .array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 25 })
      .map((lines) => lines.map((line) => `${line}\n`).join(""));
    fc.assert(
      fc.property(text, text, (before, after) => {
        expect(patched(before, diffLines(before, after))).toBe(after);
      }),
      { numRuns: 500 },
    );
  });

  test("of texts too long to compare line by line it shows both whole", () => {
    const before = Array.from({ length: 3_000 }, (_, at) => `${at}\n`).join("");
    expect(diffLines(before, `${before}end\n`)).toHaveLength(6_002);
  });
});

/** What `patch` would make of a text. */
function patched(before: string, diff: readonly string[]): string {
  const old = before.split("\n").slice(0, -1);
  const made: string[] = [];
  let at = 0;
  for (const line of diff) {
    const head = /^@@ -(\d+)(?:,(\d+))? /.exec(line);
    if (head !== null) {
      const start = head[2] === "0" ? Number(head[1]) : Number(head[1]) - 1;
      made.push(...old.slice(at, start));
      at = start;
    } else if (line.startsWith("+")) made.push(line.slice(1));
    else {
      expect(old[at]).toBe(line.slice(1));
      if (line.startsWith(" ")) made.push(old[at] ?? "");
      at++;
    }
  }
  return [...made, ...old.slice(at)].map((line) => `${line}\n`).join("");
}
