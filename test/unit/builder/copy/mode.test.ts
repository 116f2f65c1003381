import { describe, expect, test } from "vitest";
import { applyMode } from "../../../../builder/copy/mode.ts";
import type { ModeClause } from "../../../../builder/recipe/recipe.ts";

const clause = (text: string): ModeClause => {
  const [, who = "", operator = "+", permissions = ""] = /^([ugoa]*)([-+=])(.*)$/.exec(text) ?? [];
  return { who: who === "a" ? "ugo" : who, operator: operator as "+", permissions };
};

describe("applyMode", () => {
  test.each<[number, string, boolean, number]>([
    [0o644, "u+x", false, 0o744],
    [0o644, "a+x", false, 0o755],
    [0o644, "+x", false, 0o755],
    [0o755, "go-rwx", false, 0o700],
    [0o644, "u=rwx,go=rx", false, 0o755],
    [0o640, "o=g", false, 0o644],
    [0o644, "a+X", false, 0o644],
    [0o744, "a+X", false, 0o755],
    [0o644, "a+X", true, 0o755],
    [0o755, "u+s", false, 0o4755],
    [0o755, "g+s", true, 0o2755],
    [0o4755, "u-s", false, 0o755],
    [0o777, "+t", true, 0o1777],
    [0o755, "go=", false, 0o700],
  ])("%o with %s (directory: %j) is %o", (mode, text, directory, expected) => {
    const change = { form: "symbolic", clauses: text.split(",").map(clause) } as const;
    expect(applyMode(mode, change, directory)).toBe(expected);
  });

  test("octal replaces everything, and no change leaves everything", () => {
    expect(applyMode(0o4755, { form: "octal", mode: 0o600 }, false)).toBe(0o600);
    expect(applyMode(0o4755, undefined, false)).toBe(0o4755);
  });
});
