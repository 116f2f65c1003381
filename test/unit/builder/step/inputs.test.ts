import { describe, expect, test } from "vitest";
import type { Cache } from "../../../../builder/cache/cache.ts";
import { parseRecipe } from "../../../../builder/recipe/parse.ts";
import type { Step } from "../../../../builder/recipe/recipe.ts";
import { describeChanges, explainMiss } from "../../../../builder/step/explain.ts";
import { inputsOf, stepKey } from "../../../../builder/step/inputs.ts";

const step = (line: string, before = ""): Step =>
  parseRecipe(`FROM scratch\n${before}${line}\n`, "t.recipe").bootstrap.at(-1) as Step;
const key = (made: Step, below = "b", epoch = 1, reads = {}) => stepKey(inputsOf(made, below, epoch, reads));

describe("stepKey", () => {
  test("does not move with comments, place, or the way a line is broken", () => {
    const one = key(step("RUN a b"));
    expect(key(step("RUN a b", "# comment\n\n"))).toBe(one);
    const copy = key(step("COPY a b /d/"));
    expect(key(step("COPY \\\n  a \\\n  b /d/"))).toBe(copy);
  });

  test.each<[string, string]>([
    ["command", key(step("RUN other"))],
    ["tree below", key(step("RUN a"), "other")],
    ["time", key(step("RUN a"), "b", 2)],
    ["variable", key(step("RUN a", "ENV A=1\n"))],
    ["directory", key(step("RUN a", "WORKDIR /w\n"))],
    ["user", key(step("RUN a", "USER app\n"))],
    ["network", key(step("RUN --network=none a"))],
    ["mount", key(step("RUN --mount=type=tmpfs,target=/t a"))],
    ["what is read", key(step("RUN a"), "b", 1, { x: "y" })],
  ])("moves with the %s", (_, other) => {
    expect(other).not.toBe(key(step("RUN a")));
  });

  test("a COPY runs nothing: environment and user leave it alone, owner and mode move it", () => {
    const one = key(step("COPY a /a"));
    expect(key(step("COPY a /a", "ENV A=1\nUSER app\n"))).toBe(one);
    expect(key(step("COPY --chown=1 a /a"))).not.toBe(one);
    expect(key(step("COPY --chmod=600 a /a"))).not.toBe(one);
  });
});

describe("explainMiss", () => {
  const cache = { get: async () => undefined } as unknown as Cache;
  const base = inputsOf(step("RUN a"), "b", 1, {});

  test.each([
    [undefined, base, undefined, "never built"],
    [inputsOf(step("RUN b"), "b", 1, {}), base, undefined, "instruction changed"],
    [{ ...base, env: { A: "1" } }, base, undefined, "variable A changed"],
    [{ ...base, below: "c" }, base, 3, "step 3 before it changed"],
    [{ ...base, below: "c" }, base, undefined, "base changed"],
    [{ ...base, epoch: 5 }, base, undefined, "SOURCE_DATE_EPOCH changed: 5 -> 1"],
    [{ ...base, workdir: "/x" }, base, undefined, "WORKDIR changed: /x -> /"],
    [{ ...base, user: "app" }, base, undefined, "USER changed: app -> root"],
    [{ ...base, format: 0 }, base, undefined, "made by another builder"],
    [base, base, undefined, "its result is no longer in the cache"],
  ])("names the input that moved (%#)", async (before, now, earlier, expected) => {
    expect(await explainMiss(cache, before, now, earlier)).toBe(expected);
  });

  test("describeChanges names what changed, came and went, in order", () => {
    expect(describeChanges({ a: "1", b: "1", c: "1" }, { a: "1", b: "2", d: "1" })).toEqual([
      "b changed",
      "c removed",
      "d added",
    ]);
  });
});
