import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mergeLayers } from "../../../../hostd/config/merge.ts";
import { LAYER_LIMITS, readLayer } from "../../../../hostd/config/read.ts";
import { treeSchema } from "../../../../hostd/config/tree.ts";
import { HostdError } from "../../../../hostd/error.ts";

/** What a document says, as path -> value, with lines. */
function said(text: string): Record<string, unknown> {
  const values = mergeLayers([{ layer: "site", file: "site.yaml", tree: readLayer("site.yaml", text) }]);
  return Object.fromEntries([...values].map(([path, { value, line }]) => [path, [value, line]]));
}

function problemOf(text: string): string {
  try {
    readLayer("site.yaml", text);
  } catch (error) {
    if (error instanceof HostdError && error.code === "config-layer") return error.message;
    throw error;
  }
  throw new Error("expected a problem");
}

describe("readLayer", () => {
  test("reads YAML, each value with its line", () => {
    expect(
      said(
        '# all of us\nsmtp:\n  host: mail.example\n  port: 25\nhosts: [a, {b: 1}]\nmotd: |\n  one\n  two\non: "no"\n',
      ),
    ).toEqual({
      "smtp.host": ["mail.example", 3],
      "smtp.port": [25, 4],
      hosts: [["a", { b: 1 }], 5],
      motd: ["one\ntwo\n", 6],
      on: ["no", 9],
    });
  });

  test("reads JSON, tabs included", () => {
    expect(said('{\n\t"a": {"b": true},\n\t"c": "x"\n}')).toEqual({ "a.b": [true, 2], c: ["x", 3] });
  });

  test.each([[""], ["# nothing\n"], ["{}"], ["null"]])("%j says nothing", (text) => expect(said(text)).toEqual({}));

  test("null is kept: it removes what lower layers say", () => {
    expect(readLayer("f", "a:\nb: null\nc: ~")).toMatchObject({
      members: { a: { leaf: null }, b: { leaf: null }, c: { leaf: null } },
    });
  });

  test.each([
    [
      "a: 1.10\n",
      "site.yaml:1:4: 1.10 would be written 1.1: put quotes around it, or write 1.1\n  1 | a: 1.10\n    |    ^^^^",
    ],
    [
      "a: 0x10",
      "site.yaml:1:4: 0x10 would be written 16: put quotes around it, or write 16\n  1 | a: 0x10\n    |    ^^^^",
    ],
    ["a: 1\na: 2\n", "site.yaml:2:1: map keys must be unique\n  2 | a: 2\n    | ^"],
    [
      "secret:\n  a: x\n",
      "site.yaml:1:1: secrets do not stand in layers: hostd secret set NAME\n  1 | secret:\n    | ^^^^^^",
    ],
    [
      "a:\n  b.c: 1\n",
      "site.yaml:2:3: expected a name that begins with a letter or _, has letters, digits, _ and - alone, and is not __proto__\n  2 |   b.c: 1\n    |   ^^^",
    ],
    [
      "1: x\n",
      "site.yaml:1:1: expected a name that begins with a letter or _, has letters, digits, _ and - alone, and is not __proto__\n  1 | 1: x\n    | ^",
    ],
    ["- a\n", "site.yaml:1:1: expected names with values, such as `smtp: mail.example`\n  1 | - a\n    | ^^^"],
    ["a: &x 1\nb: *x\n", "site.yaml:2:4: aliases are not taken: write the value out\n  2 | b: *x\n    |    ^^"],
  ])("%j is refused at its place, with the line and a caret", (text, expected) => {
    expect(problemOf(text)).toBe(expected);
  });

  test.each([
    ["a: [", "site.yaml:1:"],
    ["a: 1\n---\nb: 2", "site.yaml:2:1: expected one document, another one begins here\n"],
    ["a: !!binary aGk=", "tags are not taken"],
    ['a: !!int "5"', "tags are not taken"],
    ["a: !!str 5", "tags are not taken"],
    ["__proto__: 1", "expected a name"],
    ["? [a]\n: 1", "expected a name"],
    ["<<: {a: 1}", "expected a name"],
    ["a: .nan", "would be written null"],
    ["a: 123456789012345678901", "would be written"],
    ['a: "\\0"', "without NUL"],
    [`a: ${"[".repeat(30_000)}`, "levels"],
    [`${"a: {".repeat(20)}${"}".repeat(20)}`, "site.yaml:1:"],
    ["a: 1\n".repeat(20_000), "expected at most 65536 bytes"],
    [`a: [${"1,".repeat(LAYER_LIMITS.values)}]`, "expected at most 2000 values"],
  ])("%# is refused", (text, expected) => expect(problemOf(text)).toContain(expected));

  test("every problem is told at once, the first ten", () => {
    const text = Array.from({ length: 14 }, (_, at) => `n${at}: 0${at}.0`).join("\n");
    expect(problemOf(text).match(/would be written/g)).toHaveLength(10);
    expect(problemOf(text)).toContain("and 4 more");
  });

  test("whatever JSON a document is, what it says is what is read; anything else is a problem with a place", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,5}$/);
    const leaf = fc.oneof(
      fc.integer(),
      fc.boolean(),
      fc.string().filter((text) => !text.includes("\0")),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.dictionary(name, fc.oneof({ maxDepth: 3 }, leaf, tie("tree")), { maxKeys: 4 }),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        fc.pre(!Object.hasOwn(value as object, "secret"));
        expect(plain(readLayer("f", JSON.stringify(value, undefined, 1)))).toEqual(value);
      }),
    );
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."a:-[]{}&*!|>'\"%@\n\t #,?") })),
        (text) => {
          try {
            const read = readLayer("f", text);
            expect(treeSchema.parse(JSON.parse(JSON.stringify(read)))).toEqual(read);
          } catch (error) {
            expect(error).toMatchObject({ code: "config-layer", message: expect.stringMatching(/^f:\d+:\d+: /) });
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

function plain(tree: unknown): unknown {
  const node = tree as { leaf?: unknown; members?: Record<string, unknown> };
  if (node.members === undefined) return node.leaf;
  return Object.fromEntries(Object.entries(node.members).map(([name, member]) => [name, plain(member)]));
}
