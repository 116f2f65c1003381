import { describe, expect, test } from "vitest";
import { parseTracked } from "../../../../builder/source/git.ts";
import { parseIgnore } from "../../../../builder/source/ignore.ts";
import { pathPattern } from "../../../../builder/source/pattern.ts";

describe("pathPattern", () => {
  test.each([
    ["*.js", "a.js", true],
    ["*.js", "d/a.js", false],
    ["**/*.js", "a.js", true],
    ["**/*.js", "d/e/a.js", true],
    ["d/**", "d/e/f", true],
    ["d/**", "d", false],
    ["a?c", "abc", true],
    ["a?c", "a/c", false],
    ["[a-c]x", "bx", true],
    ["[^a-c]x", "bx", false],
    ["a\\*b", "a*b", true],
    ["a\\*b", "axb", false],
    ["a.b(c)+", "a.b(c)+", true],
    ["a.b", "axb", false],
    ["[", "[", true],
  ])("%j matches %j: %j", (pattern, path, expected) => {
    expect(pathPattern(pattern).test(path)).toBe(expected);
  });
});

describe("parseIgnore", () => {
  test.each([
    ["node_modules", "node_modules/x/y", true],
    ["node_modules", "a/node_modules", false],
    ["**/node_modules", "a/node_modules/b", true],
    ["/build/", "build", true],
    ["*\n!keep", "keep", false],
    ["*\n!keep", "other", true],
    ["!keep\n*", "keep", true],
    ["# build\n\n  \nbuild", "build", true],
    ["a/../b", "b", true],
    ["d\n!d/keep", "d/keep", false],
    ["d\n!d/keep", "d/other", true],
  ])("%j leaves out %j: %j", (text, path, expected) => {
    expect(parseIgnore(text).ignored(path)).toBe(expected);
  });

  test("a directory is pruned unless an exception may reach into it", () => {
    expect(parseIgnore("d").prunable("d")).toBe(true);
    expect(parseIgnore("d\n!d/keep").prunable("d")).toBe(false);
    expect(parseIgnore("d\n!**/keep").prunable("d")).toBe(false);
    expect(parseIgnore("d\n!e/keep").prunable("d")).toBe(true);
  });

  test("lines put before the file's own can be taken back by it", () => {
    expect(parseIgnore("", [".git"]).ignored(".git/HEAD")).toBe(true);
    expect(parseIgnore("!.git", [".git"]).ignored(".git/HEAD")).toBe(false);
  });
});

describe("parseTracked", () => {
  test("gives files the modes that git has, links and submodules none, and says what git does not look at", () => {
    const line = (tag: string, mode: string, path: string) => `${tag} ${mode} ${"0".repeat(40)} 0\t${path}\n`;
    const text = [
      line("H", "100644", "a b"),
      line("h", "100755", '"d/\\303\\274\\n\\"b"'),
      line("S", "100644", "../away"),
      line("H", "120000", "link"),
      line("s", "160000", "sub"),
    ];
    expect([...parseTracked(text.join(""))]).toEqual([
      ["a b", { mode: 0o644 }],
      ['d/\u00c3\u00bc\n"b', { mode: 0o755, hidden: "assume-unchanged" }],
      ["../away", { mode: 0o644, hidden: "skip-worktree" }],
      ["link", {}],
      ["sub", { hidden: "skip-worktree" }],
    ]);
  });
});
