import assert from "node:assert/strict";
import { test } from "node:test";
import { totalOf } from "../src/prices.mjs";

for (const [quantity, total] of [
  [9, 2_160],
  [10, 2_160],
  [11, 2_376],
]) {
  test(`${quantity} cups of tea cost ${total} cents: a tenth less from ten on`, () => {
    assert.equal(totalOf({ item: "tea", quantity }), total);
  });
}
