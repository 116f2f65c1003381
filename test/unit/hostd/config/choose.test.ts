import { describe, expect, test } from "vitest";
import { type Past, takenBack } from "../../../../hostd/config/choose.ts";

const past = (number: number, revision: number, state: string, alone = false): Past => ({
  number,
  revision,
  state,
  alone,
});

describe("takenBack", () => {
  test.each<[string, Past[], number, string | undefined]>([
    ["a revision that never ran", [past(1, 3, "good")], 3, undefined],
    [
      "one that failed in a switch of config alone",
      [past(1, 3, "good"), past(2, 5, "failed", true)],
      3,
      "it failed its trial here",
    ],
    [
      "one that failed together with an image: that is at fault",
      [past(1, 3, "good"), past(2, 5, "failed")],
      3,
      undefined,
    ],
    ["one whose switch was interrupted", [past(1, 3, "good"), past(2, 5, "withdrawn", true)], 3, undefined],
    [
      "one that somebody went back from",
      [past(1, 3, "good"), past(2, 5, "good"), past(3, 3, "good")],
      3,
      "it was taken back here",
    ],
    ["the one that runs", [past(1, 3, "good"), past(2, 5, "failed", true), past(3, 5, "good")], 5, undefined],
  ])("%s", (_title, history, revision, expected) => {
    const number = Math.max(...history.map((one) => one.number));
    expect(takenBack(history, { number, revision }, 5)).toBe(expected);
  });
});
