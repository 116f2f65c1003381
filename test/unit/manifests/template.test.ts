import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseTemplate, TemplateProblem } from "../../../manifests/template.ts";

describe("parseTemplate", () => {
  test("takes text and placeholders apart, each with its line and column", () => {
    expect(parseTemplate("a={{ db.host }}\n  b={{n|json}}{{ secret.key }}")).toEqual([
      "a=",
      { path: "db.host", json: false, line: 1, column: 3 },
      "\n  b=",
      { path: "n", json: true, line: 2, column: 5 },
      { path: "secret.key", json: false, line: 2, column: 15 },
    ]);
  });

  test.each([
    ['{{ a | default "x }} y" }}', "x }} y"],
    ["{{ a | default 8080 }}", 8080],
    ["{{ a | default -1.5 }}", -1.5],
    ["{{ a | default false | json }}", false],
    ['{{ a | default "\\u00e9" }}', "é"],
  ])("%s stands in where nothing is declared", (text, fallback) => {
    expect(parseTemplate(text)).toMatchObject([{ path: "a", fallback }]);
  });

  test.each([["{{ $labels.instance }}"], ["{{ }}"], ["{{"], ["{ { a } }"], ["{{ 1 }}"], ["}}"]])(
    "%s is text of somebody else",
    (text) => expect(parseTemplate(text)).toEqual([text]),
  );

  test("a quoted text is written as it is: braces that are not ours", () => {
    expect(parseTemplate('{{ "{{ name }}" }}!').join("")).toBe("{{ name }}!");
  });

  test.each([
    ["a\n{{ name", 2, 8, "expected }} or |, got the end of the line"],
    ["{{ name }", 1, 9, 'expected }} or |, got "}"'],
    ["{{ a b }}", 1, 6, 'expected }} or |, got "b }}"'],
    ["{{ a | upper }}", 1, 6, 'expected json or default, got "| upper"'],
    ["{{ a | default x }}", 1, 16, 'expected "text", a number, true or false, got "x }}"'],
    ['{{ a | default "x }}', 1, 16, 'expected "text", a number, true or false, got "\\"x }}"'],
    ['{{ secret.a | default "x" }}', 1, 13, "a secret has no default"],
    ["{{ a. }}", 1, 5, 'expected }} or |, got ". }}"'],
  ])("%j is refused at its place", (text, line, column, message) => {
    expect(() => parseTemplate(text)).toThrow(expect.objectContaining({ line, column, message }));
  });

  test("any text is taken apart whole, or refused with a place in it", () => {
    const word = fc.constantFrom(
      "{{",
      "}}",
      " ",
      "a",
      ".",
      "|",
      "json",
      "default",
      '"',
      "\\",
      "1",
      "\n",
      "secret",
      "é",
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 30 }), (words) => {
        const text = words.join("");
        try {
          const literal = parseTemplate(text).filter((piece) => typeof piece === "string");
          if (!text.includes("{{")) expect(literal.join("")).toBe(text);
        } catch (error) {
          if (!(error instanceof TemplateProblem)) throw error;
          expect(error.line).toBeLessThanOrEqual(text.split("\n").length);
          expect(error.column).toBeLessThanOrEqual((text.split("\n")[error.line - 1]?.length ?? 0) + 1);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("a template of nothing but placeholders is taken apart in a moment", () => {
    const before = performance.now();
    expect(parseTemplate("{{a}}".repeat(13_000))).toHaveLength(13_000);
    expect(performance.now() - before).toBeLessThan(4_000);
  });
});
