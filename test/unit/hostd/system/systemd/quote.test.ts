import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { quoteCommandLine, quoteWord } from "../../../../../hostd/system/systemd/quote.ts";

/** A reading of ExecStart= by the rules of systemd.syntax (quotes, C escapes), systemd.unit (%) and systemd.service ($). */
function readCommandLine(text: string): string[] {
  const words: string[] = [];
  for (let at = 0; at < text.length; at++) {
    if (text[at] === " ") continue;
    if (text[at] !== '"') throw new Error(`expected a quoted word at ${at}`);
    let word = "";
    for (at++; text[at] !== '"'; at++) {
      if (text[at] === undefined) throw new Error("expected an end of the quotes");
      if (text[at] !== "\\") word += text[at];
      else if (text[++at] !== "x") word += text[at];
      else {
        word += String.fromCharCode(Number.parseInt(text.slice(at + 1, at + 3), 16));
        at += 2;
      }
    }
    words.push(word);
  }
  return words.map((word) => word.replace(/%(.)/gs, readSpecifier).replace(/\$(.)/gs, readVariable));
}

function readSpecifier(_: string, next: string): string {
  if (next !== "%") throw new Error(`specifier %${next}`);
  return "%";
}

function readVariable(_: string, next: string): string {
  if (next !== "$") throw new Error(`variable $${next}`);
  return "$";
}

const word = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom("%", "$", "{", "}", "i", "\\", '"', "'", "\n", "\r", "\t", " ", ";", "#", "x") }),
);
const argument = word.map((text) => text.replaceAll("\0", ""));

describe("quoteCommandLine", () => {
  test("every command line comes back as it was, whatever its words hold", () => {
    fc.assert(
      fc.property(fc.array(argument), (words) => {
        expect(readCommandLine(quoteCommandLine(words))).toEqual(words);
      }),
    );
  });

  test("a line of a unit file stays one line, with no escape that continues it", () => {
    fc.assert(fc.property(argument, (text) => !/[\0-\x1f\x7f]/.test(quoteWord(text)) && quoteWord(text).endsWith('"')));
  });

  test.each([
    ["", '""'],
    ["a b", '"a b"'],
    ["100% $HOME", '"100%% $$HOME"'],
    ['say "hi"\\', '"say \\"hi\\"\\\\"'],
    ["two\nlines", '"two\\x0alines"'],
  ])("%j is written as %s", (text, expected) => expect(quoteWord(text)).toBe(expected));
});
