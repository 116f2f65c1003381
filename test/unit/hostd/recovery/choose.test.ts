import { describe, expect, it } from "vitest";
import { type Candidate, chooseRoot } from "../../../../hostd/recovery/choose.ts";

const root = (letter: string) => letter.repeat(64);
const whole = (letter: string, number: number, left?: number): Candidate => ({
  root: root(letter),
  entry: left === undefined ? { number } : { number, tries: { left, done: 3 - left } },
  problem: undefined,
});

describe("chooseRoot", () => {
  it("takes the last good root, though a newer one is proven as well", () => {
    expect(chooseRoot([whole("a", 1), whole("b", 2), whole("c", 3)], root("b"))?.root).toBe(root("b"));
  });

  it("takes the newest that was proven where the last good one is damaged", () => {
    const damaged = { ...whole("b", 4), problem: "a layer is gone" };
    expect(chooseRoot([whole("a", 1), damaged, whole("c", 3)], root("b"))?.root).toBe(root("c"));
  });

  it("never takes one that was on trial and is not last good", () => {
    expect(chooseRoot([whole("a", 9, 2)], undefined)).toBeUndefined();
    expect(chooseRoot([whole("a", 9, 0), whole("b", 1)], undefined)?.root).toBe(root("b"));
    expect(chooseRoot([whole("a", 9, 0)], root("a"))?.root).toBe(root("a"));
  });

  it("takes none without an entry, and none that is damaged", () => {
    expect(chooseRoot([{ ...whole("a", 1), entry: undefined }], root("a"))).toBeUndefined();
    expect(chooseRoot([{ ...whole("a", 1), problem: "x" }], root("a"))).toBeUndefined();
    expect(chooseRoot([], undefined)).toBeUndefined();
  });
});
