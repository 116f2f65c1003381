import { expect, test } from "vitest";
import { clip, width } from "../../../terminal/width.ts";

test.each([
  ["plain", 5],
  ["日本", 4],
  ["\x1b[32mgreen\x1b[0m", 5],
  ["", 0],
])("width: %j takes %i columns", (text, columns) => {
  expect(width(text)).toBe(columns);
});

test("clip: never exceeds the columns, and shows that something is left out", () => {
  expect(clip("abcdef", 6)).toBe("abcdef");
  expect(clip("abcdefg", 6)).toBe("abcde…");
  expect(clip("日本語", 4)).toBe("日…");
});
