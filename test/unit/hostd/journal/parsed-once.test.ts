import { expect, test } from "vitest";
import { parsedOnce } from "../../../../hostd/journal/parsed-once.ts";

test("parsedOnce answers the same text with the same value, and forgets the text that was not asked for the longest", () => {
  const parsed: string[] = [];
  const parse = parsedOnce((text) => {
    parsed.push(text);
    return { text };
  });
  const kept = parse("kept");
  for (let number = 0; number < 40; number++) {
    parse(`text ${number}`);
    expect(parse("kept")).toBe(kept);
  }
  expect(parsed).toHaveLength(41);
  expect(parse("text 0")).toEqual({ text: "text 0" });
  expect(parsed).toHaveLength(42);
});
