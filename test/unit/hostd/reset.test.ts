import fc from "fast-check";
import { expect, test } from "vitest";
import { orderRemoval } from "../../../hostd/reset.ts";

const NAMES = [
  "run-directory",
  "hostd.db",
  "hostd.db.copy",
  "hostd.db-wal",
  "hostd.db-mark",
  "hostd.db-shm",
  "apps",
  "layers",
  "parts",
];

test("orderRemoval begins with the mark and ends with the run directory's name, copy and journal, whatever order it is given", () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(NAMES, { minLength: NAMES.length }), (given) => {
      const order = orderRemoval(given);
      expect(order.toSorted()).toEqual(NAMES.toSorted());
      expect(order[0]).toBe("hostd.db-mark");
      expect(order.slice(-3)).toEqual(["run-directory", "hostd.db.copy", "hostd.db"]);
    }),
  );
});

test("orderRemoval takes what there is", () => {
  expect(orderRemoval(["hostd.db", "hostd.db-wal"])).toEqual(["hostd.db-wal", "hostd.db"]);
  expect(orderRemoval([])).toEqual([]);
});
