import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ListedEntry } from "../../../../builder/tree/listing.ts";
import { mergedTree, squash } from "../../../../builder/tree/squash.ts";
import { isVolatile } from "../../../../builder/tree/volatile.ts";
import { entries, notes } from "../entries.ts";

const over = (...paths: string[]) => ({ kind: "tree" as const, has: (path: string) => paths.includes(path) });

describe("squash", () => {
  test.each<[string, string[][], string[], string[]]>([
    [
      "later content wins",
      [
        ["d:", "f:a=1"],
        ["d:", "f:a=2"],
      ],
      [],
      ["d:", "f:a=2"],
    ],
    [
      "a whiteout removes and is dropped where nothing lies below",
      [
        ["d:", "f:a=1"],
        ["d:", "w:a"],
      ],
      [],
      ["d:"],
    ],
    [
      "a whiteout stays where something lies below",
      [
        ["d:", "f:a=1"],
        ["d:", "w:a"],
      ],
      ["a"],
      ["d:", "w:a"],
    ],
    ["whiteouts stand before their siblings", [["d:", "f:a=1", "w:b"]], ["b"], ["d:", "w:b", "f:a=1"]],
    [
      "a directory again after a whiteout starts empty",
      [
        ["d:", "d:d", "f:d/x=1"],
        ["d:", "w:d"],
        ["d:", "d:d"],
      ],
      ["d"],
      ["d:", "o:d"],
    ],
    [
      "an opaque directory drops what earlier steps put there",
      [
        ["d:", "d:d", "f:d/x=1"],
        ["d:", "o:d", "f:d/y=2"],
      ],
      [],
      ["d:", "d:d", "f:d/y=2"],
    ],
    ["an opaque mark goes where nothing lies below", [["d:", "o:d"]], [], ["d:", "d:d"]],
    [
      "a directory in place of a file hides the directory below it",
      [
        ["d:", "f:d=1"],
        ["d:", "d:d"],
      ],
      ["d"],
      ["d:", "o:d"],
    ],
    [
      "a file in place of a directory takes all of it away",
      [
        ["d:", "d:d", "f:d/x=1"],
        ["d:", "f:d=2"],
      ],
      ["d"],
      ["d:", "f:d=2"],
    ],
    [
      "a link in place of a directory",
      [
        ["d:", "d:d", "f:d/x=1"],
        ["d:", "l:d>e"],
      ],
      [],
      ["d:", "l:d>e"],
    ],
    [
      "no whiteout inside an opaque directory",
      [
        ["d:", "o:d", "f:d/x=1"],
        ["d:", "d:d", "w:d/x"],
      ],
      ["d", "d/x"],
      ["d:", "o:d"],
    ],
    ["hard links stay links", [["d:", "f:a=1", "h:b>a"]], [], ["d:", "f:a=1", "h:b>a"]],
    [
      "a link whose first name is removed becomes the file",
      [
        ["d:", "f:a=1", "h:b>a", "h:c>a"],
        ["d:", "w:a"],
      ],
      [],
      ["d:", "f:b=1", "h:c>b"],
    ],
    [
      "a link whose first name is replaced keeps the old content",
      [
        ["d:", "f:a=1", "h:b>a"],
        ["d:", "f:a=2"],
      ],
      [],
      ["d:", "f:a=2", "f:b=1"],
    ],
  ])("%s", (_, listings, below, expected) => {
    const made = listings.map((listing) => entries(...listing));
    expect(notes(squash(made, { below: below.length === 0 ? { kind: "nothing" } : over("", ...below) }))).toEqual(
      expected,
    );
  });

  test("leaves out what is volatile when it is asked to", () => {
    const listing = entries("d:", "d:var", "d:var/log", "f:var/log/dpkg.log=x", "f:var/log/mine.log=y");
    expect(notes(squash([listing], { below: { kind: "nothing" }, drop: isVolatile }))).toEqual([
      "d:",
      "d:var",
      "d:var/log",
      "f:var/log/mine.log=y",
    ]);
  });

  test("any stack of random steps, squashed or applied one by one, gives the same tree", () => {
    fc.assert(
      fc.property(fc.array(fc.array(operation, { maxLength: 6 }), { minLength: 1, maxLength: 5 }), (steps) => {
        const model = new Map<string, string>();
        const listings = steps.map((operations) => applyStep(model, operations));
        const expected = [...model]
          .sort(([a], [b]) => (key(a) < key(b) ? -1 : 1))
          .map(([path, kind]) => `${path} ${kind}`);
        expect(mergedTree(listings).slice(1).map(show)).toEqual(expected);
        const cut = Math.floor(listings.length / 2);
        const lower = mergedTree(listings.slice(0, cut));
        const below = new Set(lower.map(({ path }) => path));
        const upper = squash(listings.slice(cut), { below: { kind: "tree", has: (path) => below.has(path) } });
        expect(mergedTree([lower, upper]).slice(1).map(show)).toEqual(expected);
        for (const { path } of upper)
          expect(
            path === "" || upper.some((one) => one.path === path.slice(0, Math.max(0, path.lastIndexOf("/")))),
          ).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

type Operation = { path: string; make: "file" | "directory" | "nothing" };
const name = fc.constantFrom("a", "b", "c");
const operation: fc.Arbitrary<Operation> = fc.record({
  path: fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("/")),
  make: fc.constantFrom("file", "directory", "nothing"),
});

const show = (entry: ListedEntry) => `${entry.path} ${entry.type}`;
const key = (path: string) => path.replaceAll("/", "\0");

/** Applies operations to the model and writes what overlayfs would leave in the upper directory. */
function applyStep(model: Map<string, string>, operations: readonly Operation[]): ListedEntry[] {
  const before = new Map(model);
  const remade = new Set<string>();
  for (const { path, make } of operations) {
    const parents = path
      .split("/")
      .slice(0, -1)
      .map((_, index, names) => names.slice(0, index + 1).join("/"));
    if (parents.some((parent) => model.get(parent) !== "directory")) continue;
    if (make === "directory" && model.get(path) === "directory") continue;
    for (const known of [...model.keys()]) if (known === path || known.startsWith(`${path}/`)) model.delete(known);
    if (make !== "nothing") model.set(path, make);
    if (make === "directory") remade.add(path);
    else for (const known of [...remade]) if (known === path || known.startsWith(`${path}/`)) remade.delete(known);
  }
  const changed = new Set<string>();
  for (const [path, kind] of model) if (before.get(path) !== kind || remade.has(path)) changed.add(path);
  for (const path of before.keys()) if (!model.has(path)) changed.add(path);
  const all = new Set<string>([""]);
  for (const path of changed) {
    const names = path.split("/");
    const gone = names.slice(0, -1).some((_, index) => model.get(names.slice(0, index + 1).join("/")) !== "directory");
    if (gone) continue;
    for (const index of names.keys()) all.add(names.slice(0, index + 1).join("/"));
  }
  const hiddenBelow = (path: string) => [...remade].some((parent) => path.startsWith(`${parent}/`));
  const listed = [...all]
    .sort((a, b) => (key(a) < key(b) ? -1 : 1))
    .flatMap((path) => {
      if (path === "") return ["d:"];
      const kind = model.get(path);
      if (kind === undefined) return before.has(path) && !hiddenBelow(path) ? [`w:${path}`] : [];
      return [kind === "file" ? `f:${path}=` : `${remade.has(path) ? "o" : "d"}:${path}`];
    });
  return entries(...listed);
}
