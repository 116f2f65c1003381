import { expect, test } from "vitest";
import { compareLayers } from "../../../builder/verify.ts";

const layer = (...entries: [string, Record<string, string | number>][]) => new Map(entries);

test.each([
  [layer(["a", { mode: "644" }]), layer(["a", { mode: "644" }]), undefined],
  [
    layer(["a", { mode: "644", content: "x" }]),
    layer(["a", { mode: "644", content: "y" }]),
    { path: "/a", what: "content x and y" },
  ],
  [layer(["a", {}], ["b", { uid: 1 }]), layer(["a", {}], ["b", { uid: 2 }]), { path: "/b", what: "uid 1 and 2" }],
  [layer(["a", {}]), layer(), { path: "/a", what: "only in the first build" }],
  [layer(), layer(["a", {}]), { path: "/a", what: "only in the second build" }],
  [layer(["a", { "xattr user.x": "00" }]), layer(["a", {}]), { path: "/a", what: "xattr user.x 00 and absent" }],
])("compareLayers names the first path that differs, and how (%#)", (one, two, expected) => {
  expect(compareLayers(one, two)).toEqual(expected);
});
