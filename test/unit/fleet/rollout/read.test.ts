import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FleetError } from "../../../../fleet/error.ts";
import { readRolloutFile } from "../../../../fleet/rollout/read.ts";

const DOCUMENT = readFileSync(join(import.meta.dirname, "../../../../docs/rollout.md"), "utf8");

describe("readRolloutFile", () => {
  test("takes each example of the document", () => {
    const examples = [...DOCUMENT.matchAll(/```yaml\n([^`]+)```/g)].map(([, text = ""]) => text);
    expect(examples.length).toBeGreaterThan(0);
    for (const text of examples) expect(readRolloutFile("shop.rollout", text).product).toBe("shop");
  });

  test("takes one address or many, and fills in what is not said", () => {
    const read = readRolloutFile("f", "product: shop\nwaves: [{ nodes: rest, success: [{ mail: a@b.c }] }]\n");
    expect(read).toMatchObject({ channel: "production", nodes: ["all"], prepare: "wave", parallel: 8 });
    expect(read.waves).toEqual([{ nodes: "rest", tolerate: 0, success: [{ mail: ["a@b.c"] }] }]);
  });

  test.each([
    ["chanel: x", "f:3:1: chanel: no such name here"],
    ["prepare: some", "f:3:10: prepare: expected wave or all"],
    ["mail: { from: me, server: http://x }", "f:3:15: from: expected a mail address"],
    ["failure: [{ wait: 3m }]", "f:3:11: failure: wait and approve stand under success"],
    ["success: [{ approve: soon }]", "f:3:22: approve: expected a time such as 90s, 10m, 24h or 7d"],
    ["success: [{ mail: a@b.c, wait: 1m }]", "f:3:11: success: expected one action an item"],
    ["a: &x [1]\nb: *x", "f: alias resolution is disabled"],
    ["a: [", "f:4:1: "],
  ])("points at what is wrong in %s", (line, message) => {
    expect(() => readRolloutFile("f", `product: shop\nwaves: [{ nodes: rest }]\n${line}\n`)).toThrow(message);
  });

  test("shows the line with carets under the exact word", () => {
    const shown = ["f:2:18: nodes: expected a number of nodes, a part such as 10%, a group, or rest"];
    shown.push("  2 | waves: [{ nodes: 200% }]", "    |                  ^^^^");
    expect(() => readRolloutFile("f", "product: shop\nwaves: [{ nodes: 200% }]\n")).toThrow(shown.join("\n"));
  });

  test("answers any text with a file or a FleetError", () => {
    const words = fc.constantFrom(
      "product: shop\n",
      "waves:\n",
      "  - nodes: ",
      "rest",
      "10%",
      "success:",
      "[",
      "{",
      "*a",
      "&a ",
      ": ",
      "\n",
      "- ",
      "? ",
      "!!x ",
      "\0",
      "é",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(words, { maxLength: 30 }).map((all) => all.join("")),
        ),
        (text) => {
          try {
            readRolloutFile("f", text);
          } catch (error) {
            expect(error).toBeInstanceOf(FleetError);
          }
        },
      ),
    );
    for (const deep of ["[".repeat(20_000), "a: ".repeat(20_000), "- ".repeat(20_000)]) {
      expect(() => readRolloutFile("f", deep)).toThrow(FleetError);
    }
  });
});
