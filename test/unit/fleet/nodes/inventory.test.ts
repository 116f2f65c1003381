import { expect, test } from "vitest";
import {
  addNode,
  checkNames,
  groupNode,
  removeNode,
  renameNode,
  selectNodes,
} from "../../../../fleet/nodes/inventory.ts";
import { hostKeyIn } from "../../../../fleet/push/session.ts";
import { type Inventory, inventoryExample } from "../../../../manifests/inventory.ts";

const [example] = inventoryExample.nodes;
const second = { ...example, name: "web-2", key: `SHA256:${"b".repeat(43)}`, groups: ["web", "canary"] };
const two: Inventory = addNode(inventoryExample, second);

test("a host key and a name are there once", () => {
  expect(() => addNode(two, { ...second, name: "web-3" })).toThrow(`its host key ${second.key} is that of web-2`);
  expect(() => addNode(two, { ...second, key: `SHA256:${"c".repeat(43)}` })).toThrow("web-2: a node of that name");
  expect(() => renameNode(two, "web-1", "web-2")).toThrow("web-2: a node of that name is there already");
});

test("a renamed node keeps its key and its groups", () => {
  expect(renameNode(two, "web-2", "berlin").nodes[1]).toEqual({ ...second, name: "berlin" });
  expect(renameNode(two, "web-2", "web-2")).toEqual(two);
});

test("groups are replaced, each once, and what is removed is gone", () => {
  expect(groupNode(two, "web-2", ["db", "db"]).nodes[1]?.groups).toEqual(["db"]);
  expect(removeNode(two, "web-1").nodes.map(({ name }) => name)).toEqual(["web-2"]);
});

test("nodes are chosen by name, by group and all, each once and in that order", () => {
  const namesOf = (...words: string[]) => selectNodes(two, words).map(({ name }) => name);
  expect(namesOf("canary", "web")).toEqual(["web-2", "web-1"]);
  expect(namesOf("all")).toEqual(["web-1", "web-2"]);
  expect(namesOf("web-1")).toEqual(["web-1"]);
});

test("a name that is nobody's is refused with the one that was probably meant", () => {
  expect(() => selectNodes(two, ["canry"])).toThrow(
    expect.objectContaining({ outcome: "usage", hint: "did you mean canary?" }),
  );
  expect(() => renameNode(two, "web-9", "x")).toThrow('expected a node, got "web-9"');
  expect(() => selectNodes({ schema: 1, nodes: [] }, ["all"])).toThrow("the inventory has no node");
});

test("a name that could be taken for something else is no group's, and an option of ssh no destination", () => {
  const third = { ...second, name: "web-3", key: `SHA256:${"c".repeat(43)}` };
  for (const name of ["rest", "all", "3", "UP"]) {
    expect(() => addNode(two, { ...third, groups: [name] })).toThrow(expect.objectContaining({ outcome: "usage" }));
    expect(() => addNode(two, { ...third, name })).toThrow(expect.objectContaining({ outcome: "usage" }));
    expect(() => checkNames(["web", name])).toThrow(`${JSON.stringify(name)}: expected `);
  }
  expect(() => addNode(two, { ...third, destination: "-oProxyCommand=x" })).toThrow("destination");
});

test("the host key is what ssh says of the key exchange, and nothing that a server may say in its banner", () => {
  const line = `debug1: Server host key: ssh-ed25519 SHA256:${"x".repeat(43)}`;
  expect(hostKeyIn(`debug1: a\n${line}\ndebug1: b\n`)).toBe(`SHA256:${"x".repeat(43)}`);
  expect(hostKeyIn("debug1: Server host key: ssh-ed25519 MD5:aa\n")).toBe("unknown");
  expect(hostKeyIn(`hello ${line}\n`)).toBe("unknown");
});
