import { describe, expect, test } from "vitest";
import { planBuild } from "../../../builder/plan.ts";
import { parseRecipe } from "../../../builder/recipe/parse.ts";

const plan = (text: string) => planBuild(parseRecipe(text, "thing.recipe"));
const layers = (text: string) => plan(text).steps.map(({ layer, clock }) => `${layer ?? "none"}/${clock}`);

describe("planBuild", () => {
  test("DEPLOY that continues: one layer for each section, each with its own clock", () => {
    expect(layers("FROM scratch\nCOPY a /a\nDEPLOY\nCOPY b /b\n")).toEqual(["bootstrap/lock", "deploy/deploy"]);
  });

  test("DEPLOY FROM scratch: what only reads BOOTSTRAP is the layer bootstrap, from the first read of the context on it is deploy", () => {
    const text = `FROM scratch
COPY a /a
DEPLOY FROM scratch
WORKDIR /w
COPY --from=bootstrap /a /a
COPY b /b
COPY --from=bootstrap /a /c
`;
    expect(layers(text)).toEqual(["none/lock", "bootstrap/lock", "bootstrap/lock", "deploy/deploy", "deploy/deploy"]);
  });

  test("a file whose content stands in the recipe, and a RUN, end the leading steps", () => {
    expect(layers("FROM scratch\nDEPLOY FROM scratch\nCOPY <<x /x\nx\nCOPY --from=bootstrap /a /a\n")).toEqual([
      "deploy/deploy",
      "deploy/deploy",
    ]);
    expect(layers("FROM scratch\nDEPLOY FROM scratch\nRUN true\n")).toEqual(["deploy/deploy"]);
  });

  test("every FROM that gives a tree is named once, scratch is none", () => {
    const text = "FROM debian:bookworm\nCOPY --from=image:a /x /x\nDEPLOY FROM image:a\nCOPY --from=image:b /y /y\n";
    expect([...plan(text).froms.keys()]).toEqual(["debian:bookworm", "image:a", "image:b"]);
    expect(plan("FROM scratch\nCOPY a /a\n").froms.size).toBe(0);
  });

  test("steps are numbered through both sections", () => {
    const { steps } = plan("FROM scratch\nCOPY a /a\nDEPLOY\nCOPY b /b\nCOPY c /c\n");
    expect(steps.map(({ index, total }) => [index, total])).toEqual([
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
  });
});
