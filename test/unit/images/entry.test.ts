import { expect, test } from "vitest";
import { hostPath, parentOf, showPath } from "../../../images/entry.ts";

test.each([
  ["", "."],
  ["a b", "a b"],
  ["a\nb", "a\\nb"],
  [Buffer.from("é").toString("latin1"), "é"],
])("showPath shows %j as %s", (path, shown) => {
  expect(showPath(path)).toBe(shown);
});

test.each([
  ["a/b/c", "a/b"],
  ["a", ""],
  ["", ""],
])("parentOf(%j) is %j", (path, parent) => {
  expect(parentOf(path)).toBe(parent);
});

test("hostPath keeps bytes that are no UTF-8", () => {
  expect(hostPath("/d", "")).toBe("/d");
  expect(hostPath("/d", "a/b")).toBe("/d/a/b");
  expect(hostPath("/é", "\xff")).toEqual(Buffer.concat([Buffer.from("/é/"), Buffer.from([0xff])]));
});
