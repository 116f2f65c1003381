import { describe, expect, test } from "vitest";
import { errorOf, refusedBy } from "./read.ts";

/** The first line of the error and what was expected. */
function brief(text: string | Uint8Array): string[] {
  return errorOf(text)
    .split("\n")
    .filter((line, index) => index === 0 || line.startsWith("  expected"));
}

describe("limits", () => {
  test("a file has at most a mebibyte, counted in bytes", () => {
    expect(brief(`#${"é".repeat(524_288)}`)).toEqual([
      "shop.recipe:1:1: recipe has 1048577 bytes",
      "  expected at most 1048576",
    ]);
  });

  test("a file has at most 10000 lines", () => {
    expect(brief("\n".repeat(10_001))).toEqual(["shop.recipe:10001:1: recipe has more than 10000 lines"]);
  });

  test("a line has at most 65536 characters", () => {
    expect(brief(`FROM scratch\nRUN ${"a".repeat(65_536)}`)).toEqual([
      "shop.recipe:2:1: line has 65540 characters",
      "  expected at most 65536 characters, continue long lines with \\",
    ]);
  });

  test("a recipe has at most 2000 instructions", () => {
    expect(brief(`FROM scratch\n${"RUN a\n".repeat(2_000)}`)).toEqual([
      "shop.recipe:2001:1: recipe has more than 2000 instructions",
    ]);
  });

  test("the first 100 problems are shown", () => {
    const error = refusedBy(`FROM scratch\n${"RUNX\n".repeat(200)}`);
    expect(error.problems).toHaveLength(100);
    expect(error.message.endsWith("the first 100 problems in shop.recipe")).toBe(true);
  });

  test("a value has at most 65536 characters", () => {
    const text = `FROM scratch\nENV A=${"a".repeat(40_000)}\nENV B=$A$A\n`;
    expect(brief(text)).toEqual(["shop.recipe:3:9: value is longer than 65536 characters"]);
  });

  test("bytes that are not UTF-8 are shown where they stand", () => {
    expect(errorOf(Buffer.from("FROM scratch\nRUN caf\xe9\n", "latin1"))).toBe(
      "shop.recipe:2:8: bytes that are not UTF-8\n  2 | RUN caf\uFFFD\n    |        ^\n  expected a text file in UTF-8",
    );
  });

  test("a recipe in UTF-8 bytes reads as its text does", () => {
    expect(brief(Buffer.from("\uFEFFFROM scratch\r\nRUNX é\r\n"))[0]).toBe(
      'shop.recipe:2:1: unknown instruction "RUNX"',
    );
  });
});

describe("RecipeError", () => {
  test("has the first problem's code, and every problem as data", () => {
    const error = refusedBy("FROM scratch\nCOPY ../a /b\nRUNX\n");
    expect([error.name, error.code, error.outcome]).toEqual(["RecipeError", "bad-path", "failed"]);
    expect(error.details).toMatchObject({
      problems: [
        { file: "shop.recipe", line: 2, column: 6, code: "bad-path", message: 'COPY source "../a" leaves the context' },
        { line: 3, column: 1, code: "unknown-instruction", suggestion: "RUN" },
      ],
    });
  });

  test("a value for an ARG that nothing declares is a typing mistake", () => {
    expect(errorOf("FROM scratch\nARG VERSION\n", { args: { VERSOIN: "1" } })).toBe(
      `shop.recipe:1:1: a value is given for ARG "VERSOIN", which the recipe does not declare
  1 | FROM scratch
    | ^^^^^^^^^^^^
  expected VERSION
  did you mean VERSION?`,
    );
  });

  test("a product's name can be used in file names and addresses", () => {
    expect(errorOf("FROM scratch\n", {}, "My Shop.recipe").split("\n")[0]).toBe(
      'My Shop.recipe:1:1: bad product name "My Shop.recipe"',
    );
  });
});
