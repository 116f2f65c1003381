import { BuildError } from "../error.ts";
import { fromBinary } from "./bytes.ts";
import type { Tree } from "./tree.ts";

/** A user as a process of a tree runs: numbers, groups and home directory. */
export interface UserIds {
  uid: number;
  gid: number;
  /** Supplementary groups. */
  groups: number[];
  home: string;
}

const ID_LIMIT = 4_294_967_294;

/** USER `name[:group]` or `uid[:gid]`, looked up in the tree's own passwd and group. Undefined is root. */
export function lookupUser(tree: Tree, user: string | undefined): UserIds {
  const [name = "0", group] = (user ?? "0").split(":");
  const number = idOf(name);
  const line = rowsOf(tree, "etc/passwd").find((row) =>
    number === undefined ? row[0] === name : Number(row[2]) === number,
  );
  if (line === undefined && number === undefined) throw unknown("user", name, "passwd");
  const uid = number ?? Number(line?.[2]);
  const gid = group === undefined ? Number(line?.[3] ?? 0) : lookupGroup(tree, group);
  return { uid, gid, groups: group === undefined ? groupsOf(tree, line?.[0], gid) : [], home: line?.[5] || "/" };
}

/** `--chown=USER[:GROUP]` as numbers; without a group it is the number of the user, as Docker does it. */
export function lookupOwner(
  tree: Tree,
  owner: { user: string; group: string | undefined },
): { uid: number; gid: number } {
  const uid = idOf(owner.user) ?? lookupUser(tree, owner.user).uid;
  return { uid, gid: owner.group === undefined ? uid : lookupGroup(tree, owner.group) };
}

function lookupGroup(tree: Tree, group: string): number {
  const number = idOf(group);
  if (number !== undefined) return number;
  const line = rowsOf(tree, "etc/group").find((row) => row[0] === group);
  if (line === undefined) throw unknown("group", group, "group");
  return Number(line[2]);
}

function groupsOf(tree: Tree, name: string | undefined, primary: number): number[] {
  if (name === undefined) return [];
  const member = rowsOf(tree, "etc/group").filter((row) => (row[3] ?? "").split(",").includes(name));
  return member.map((row) => Number(row[2])).filter((gid) => gid !== primary);
}

function rowsOf(tree: Tree, path: string): string[][] {
  const text = fromBinary(tree.read(path)?.toString("latin1") ?? "");
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}

function idOf(text: string): number | undefined {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : undefined;
  return number !== undefined && number <= ID_LIMIT ? number : undefined;
}

function unknown(what: string, name: string, file: string): BuildError {
  return new BuildError("user-unknown", `expected ${what} ${JSON.stringify(name)} in the tree's /etc/${file}`, {
    hint: `make it in an earlier RUN, or use a number`,
  });
}
