import { describe, expect, test } from "vitest";
import { type Layer, mapAt, mergeLayers, releaseLayer } from "../../../../hostd/config/merge.ts";
import { readLayer } from "../../../../hostd/config/read.ts";

function layer(name: string, text: string): Layer {
  return { layer: name, file: `${name}.yaml`, tree: readLayer(`${name}.yaml`, text) };
}

function merged(...texts: string[]): Record<string, unknown> {
  const values = mergeLayers(texts.map((text, at) => layer(`l${at}`, text)));
  return Object.fromEntries([...values].map(([path, { value }]) => [path, value]));
}

describe("mergeLayers", () => {
  test.each([
    ["maps merge name by name", ["a: {x: 1, y: 2}", "a: {y: 3, z: 4}"], { "a.x": 1, "a.y": 3, "a.z": 4 }],
    ["scalars replace", ["a: 1", "a: two"], { a: "two" }],
    ["lists replace whole", ["a: [1, 2]", "a: [3]"], { a: [3] }],
    ["null removes a scalar", ["a: 1\nb: 2", "a: null"], { b: 2 }],
    ["null removes a map with all below it", ["a: {x: {y: 1}, z: 2}", "a: {x: null}"], { "a.z": 2 }],
    ["what was removed may be said again", ["a: 1", "a: null", "a: 3"], { a: 3 }],
    ["null of a lower layer takes nothing from a higher one", ["a: null", "a: 1"], { a: 1 }],
    ["a map takes the place of a scalar", ["a: 1", "a: {x: 2}"], { "a.x": 2 }],
    ["a scalar takes the place of a map", ["a: {x: 2}", "a: 1"], { a: 1 }],
    ["an empty map takes the place of a scalar", ["a: 1", "a: {}"], {}],
    ["an empty map says nothing about a map", ["a: {x: 1}", "a: {}"], { "a.x": 1 }],
    ["an empty layer says nothing", ["a: 1", ""], { a: 1 }],
  ])("%s", (_title, texts, expected) => expect(merged(...texts)).toEqual(expected));

  test("each value names the layer, file and line that it came from", () => {
    const values = mergeLayers([
      releaseLayer({ greeting: "hi", "db.port": "1" }),
      layer("global", "db:\n  host: g\n  port: 5432\n"),
      layer("node", "# here\ndb: {host: n}\n"),
    ]);
    expect(Object.fromEntries(values)).toEqual({
      greeting: { value: "hi", layer: "release", file: "release", line: 0 },
      "db.port": { value: 5432, layer: "global", file: "global.yaml", line: 3 },
      "db.host": { value: "n", layer: "node", file: "node.yaml", line: 2 },
    });
  });

  test("names of objects' own are names like any other", () => {
    expect(merged("toString: 1\nconstructor: {prototype: 2}")).toEqual({ toString: 1, "constructor.prototype": 2 });
  });
});

test("mapAt gives a map whole, names in order, and nothing where there is none", () => {
  const values = mergeLayers([layer("site", "db: {port: 1, host: h, tls: {on: true}}\ndbx: 1")]);
  expect(JSON.stringify(mapAt(values, "db"))).toBe('{"host":"h","port":1,"tls":{"on":true}}');
  expect(mapAt(values, "d")).toBeUndefined();
  expect(mapAt(values, "dbx")).toBeUndefined();
});
