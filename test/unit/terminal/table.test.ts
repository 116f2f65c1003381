import { expect, test } from "vitest";
import { bytes, table } from "../../../terminal/table.ts";

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

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [126_600_000, "126.6 MB"],
])("bytes shows %i as %s", (count, shown) => {
  expect(bytes(count)).toBe(shown);
});
