import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { INSTRUCTIONS } from "../../../../builder/recipe/instructions/table.ts";
import { read } from "./read.ts";

const PAGE = readFileSync(new URL("../../../../docs/recipe.md", import.meta.url), "utf8");
const EXAMPLES = [...PAGE.matchAll(/^```recipe\n(.*?)^```$/gms)].map((match) => match[1] ?? "");

describe("docs/recipe.md", () => {
  test.each(EXAMPLES.map((text) => [text.split("\n")[0], text]))(
    "its example that starts with %s is parsed",
    (_, text = "") => {
      const recipe = read(/^FROM /m.test(text) ? text : `FROM debian:bookworm\n${text}`);
      expect(recipe.warnings).toEqual([]);
    },
  );

  test("shows every instruction", () => {
    expect(EXAMPLES.length).toBeGreaterThanOrEqual(7);
    for (const word of INSTRUCTIONS.keys()) expect(PAGE).toMatch(new RegExp(`\\b${word}\\b`));
  });
});
