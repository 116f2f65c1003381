import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matchPattern } from "../../../../builder/recipe/pattern.ts";
import { readBelow } from "./read.ts";

/** The value of a word, with A=1.2.3, EMPTY= and the path P=/a/b/c.tar.gz set. */
function expanded(word: string): string | undefined {
  return readBelow(`ENV A=1.2.3 EMPTY= P=/a/b/c.tar.gz\nENV V=${word}\n`).image.env["V"];
}

describe("substitution", () => {
  test.each([
    ["$A", "1.2.3"],
    [`x\${A}y`, "x1.2.3y"],
    ["$A-$A", "1.2.3-1.2.3"],
    [`\${EMPTY:-d}`, "d"],
    [`\${EMPTY-d}`, ""],
    [`\${NONE:-d}`, "d"],
    [`\${NONE-d}`, "d"],
    [`\${A:-d}`, "1.2.3"],
    [`\${A:+a}`, "a"],
    [`\${EMPTY:+a}`, ""],
    [`\${EMPTY+a}`, "a"],
    [`\${NONE+a}`, ""],
    [`\${A:?m}`, "1.2.3"],
    [`\${NONE:-\${EMPTY:-$A}}`, "1.2.3"],
    [`"\${NONE:-two words}"`, "two words"],
    [`\${NONE:-two words}`, "two words"],
    [`\${NONE:-'a}b'}`, "a}b"],
    [`\${P#*/}`, "a/b/c.tar.gz"],
    [`\${P##*/}`, "c.tar.gz"],
    [`\${P%.*}`, "/a/b/c.tar"],
    [`\${P%%.*}`, "/a/b/c"],
    [`\${P%/?.tar.gz}`, "/a/b"],
    [`\${P#x}`, "/a/b/c.tar.gz"],
    [`\${P/\\/b/_}`, "/a_/c.tar.gz"],
    [`\${A//./-}`, "1-2-3"],
    [`\${A/.}`, "12.3"],
    ["'$A'", "$A"],
    ["\\$A", "$A"],
    ['"\\$A \\" \\x"', '$A " \\x'],
    ["a\\ b\\\\c", "a b\\c"],
    ["$", "$"],
    ["$+", "$+"],
    ["a'b'\"c\"d", "abcd"],
  ])("%s is %j", (word, value) => {
    expect(expanded(word)).toBe(value);
  });
});

describe("matchPattern", () => {
  const free = () => undefined;

  test("a pattern without wild characters is plain text", () => {
    fc.assert(
      fc.property(fc.string(), fc.string({ minLength: 1 }), (value, part) => {
        fc.pre(!/[*?]/.test(part) && !/\p{Surrogate}/u.test(value + part));
        expect(matchPattern("//", value, part, "-", free)).toBe(value.replaceAll(part, "-"));
        expect(matchPattern("#", part + value, part, "", free)).toBe(value);
        expect(matchPattern("%", value + part, part, "", free)).toBe(value);
      }),
    );
  });

  test("* alone takes nothing at its shortest and all at its longest", () => {
    expect([matchPattern("#", "abc", "*", "", free), matchPattern("##", "abc", "*", "", free)]).toEqual(["abc", ""]);
    expect([matchPattern("%", "abc", "*", "", free), matchPattern("%%", "abc", "*", "", free)]).toEqual(["abc", ""]);
  });

  test("tells its work before it does it", () => {
    expect(() =>
      matchPattern("//", "a".repeat(1_000_000), "a*a*b", "", () => {
        throw new Error("too much");
      }),
    ).toThrow("too much");
  });
});
