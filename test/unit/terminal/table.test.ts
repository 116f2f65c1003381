import { expect, test } from "vitest";
import { bytes, table, wrap } from "../../../terminal/table.ts";

test("table puts numbers to the right and leaves no trailing spaces", () => {
  const text = table(
    ["layer", "size"],
    [
      ["base", "9"],
      ["deploy", "120"],
    ],
  );
  expect(text).toBe(["layer   size", "──────  ────", "base       9", "deploy   120"].join("\n"));
});

test("table wraps its last column at words where it would be wider than the terminal", () => {
  const text = table(["id", "why"], [["1", "not healthy within 300 ms"]], { columns: 16, indent: 2 });
  const lines = ["  id  why", "  ──  ──────────", "   1  not", "      healthy", "      within 300", "      ms"];
  expect(text).toBe(lines.join("\n"));
});

test("table puts below a row what is told about it, wrapped at words", () => {
  const options = { columns: 18, below: [["why: it turned sick"], []] };
  const text = table(
    ["id", "what"],
    [
      ["1", "deploy"],
      ["2", "rollback"],
    ],
    options,
  );
  const lines = ["id  what", "──  ────────", " 1  deploy", "    why: it turned", "    sick", " 2  rollback"];
  expect(text).toBe(lines.join("\n"));
});

test("wrap breaks at spaces alone, and gives a word that is too long a line of its own", () => {
  expect(wrap("a bb ccc", 4)).toEqual(["a bb", "ccc"]);
  expect(wrap("at /var/lib/hostd now", 5)).toEqual(["at", "/var/lib/hostd", "now"]);
  expect(wrap("", 5)).toEqual([""]);
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [126_600_000, "126.6 MB"],
])("bytes shows %i as %s", (count, shown) => {
  expect(bytes(count)).toBe(shown);
});
