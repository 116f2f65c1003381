import { describe, expect, test } from "vitest";
import { closureOf } from "../../../../builder/closure/closure.ts";
import { comparePaths } from "../../../../builder/tree/bytes.ts";
import type { ListedEntry } from "../../../../builder/tree/listing.ts";
import { openTree, type Tree } from "../../../../builder/tree/tree.ts";
import { entries } from "../entries.ts";
import { type ElfFacts, makeElf } from "./make-elf.ts";

const elf = (path: string, facts: Partial<ElfFacts> = {}) => {
  const bytes = makeElf({ wide: true, little: true, ...facts });
  return `f:${path}=${bytes.toString("latin1")}`;
};

function treeOf(...lines: string[]): Tree {
  const listed = entries(...lines);
  const known = new Set(listed.map(({ path }) => path));
  const parents = listed.flatMap(({ path }) =>
    path
      .split("/")
      .slice(0, -1)
      .map((_, index, names) => names.slice(0, index + 1).join("/")),
  );
  const missing = [...new Set(["", ...parents])].filter((path) => !known.has(path)).map((path) => `d:${path}`);
  return openTree([...entries(...missing), ...listed].sort((a, b) => comparePaths(a.path, b.path)));
}

const root = (tree: Tree, path: string) => [tree.at(path) as ListedEntry];
const files = (tree: Tree, path: string) =>
  closureOf(tree, root(tree, path))
    .entries.filter(({ type }) => type !== "directory")
    .map((entry) => entry.path);

describe("closureOf", () => {
  test("takes the loader and libraries to the last one, with the links that lead to them, and says why", () => {
    const tree = treeOf(
      "l:lib>usr/lib",
      "l:lib64>usr/lib64",
      elf("usr/bin/app", { interpreter: "/lib64/ld.so", needed: ["liba.so.1"] }),
      elf("usr/lib/x86_64-linux-gnu/liba.so.1.2", { needed: ["libb.so.1"] }),
      "l:usr/lib/x86_64-linux-gnu/liba.so.1>liba.so.1.2",
      elf("usr/lib/libb.so.1"),
      elf("usr/lib/unused.so"),
      elf("usr/lib/ld-2.so"),
      "l:usr/lib64/ld.so>/lib/ld-2.so",
    );
    const closure = closureOf(tree, root(tree, "usr/bin/app"));
    expect(closure.entries.filter(({ type }) => type !== "directory").map(({ path }) => path)).toEqual([
      "lib",
      "lib64",
      "usr/lib/ld-2.so",
      "usr/lib/libb.so.1",
      "usr/lib/x86_64-linux-gnu/liba.so.1",
      "usr/lib/x86_64-linux-gnu/liba.so.1.2",
      "usr/lib64/ld.so",
    ]);
    expect(closure.reasons.get("usr/lib/libb.so.1")).toBe("needed by /lib/x86_64-linux-gnu/liba.so.1");
    expect(closure.reasons.get("usr/lib64/ld.so")).toBe("loader of /usr/bin/app");
  });

  test("looks in RUNPATH with $ORIGIN, in an RPATH of what loads it, and in ld.so.conf, whose cache then comes along", () => {
    const own = treeOf(
      elf("opt/app/bin/app", { needed: ["libx.so"], runpath: "$ORIGIN/../lib" }),
      elf("opt/app/lib/libx.so"),
    );
    expect(files(own, "opt/app/bin/app")).toEqual(["opt/app/lib/libx.so"]);
    const inherited = treeOf(
      elf("app", { needed: ["liba.so"], rpath: "/opt/r" }),
      elf("opt/r/liba.so", { needed: ["libb.so"] }),
      elf("opt/r/libb.so"),
    );
    expect(files(inherited, "app")).toEqual(["opt/r/liba.so", "opt/r/libb.so"]);
    const configured = treeOf(
      elf("app", { needed: ["libc1.so"] }),
      "f:etc/ld.so.conf=include /etc/ld.so.conf.d/*.conf\n",
      "f:etc/ld.so.conf.d/x.conf=# here\n/opt/conf\n",
      "f:etc/ld.so.cache=cache",
      elf("opt/conf/libc1.so"),
    );
    expect(files(configured, "app")).toEqual(["etc/ld.so.cache", "opt/conf/libc1.so"]);
  });

  test("passes over a library of another machine, as the loader does", () => {
    const tree = treeOf(
      elf("app", { needed: ["liba.so"] }),
      elf("lib64/liba.so", { wide: false }),
      elf("usr/lib/liba.so"),
    );
    expect(files(tree, "app")).toEqual(["usr/lib/liba.so"]);
  });

  test("takes the interpreter of a script and all that it needs, through env too", () => {
    const tree = treeOf(
      "f:direct=#!/usr/bin/tool -x\n",
      "f:by-env=#!/usr/bin/env tool\n",
      "f:by-split=#!/usr/bin/env -S tool -x\n",
      elf("usr/bin/env"),
      elf("usr/bin/tool", { needed: ["liba.so"] }),
      elf("lib/liba.so"),
    );
    expect(files(tree, "direct")).toEqual(["lib/liba.so", "usr/bin/tool"]);
    expect(files(tree, "by-env")).toEqual(["lib/liba.so", "usr/bin/env", "usr/bin/tool"]);
    expect(files(tree, "by-split")).toEqual(["lib/liba.so", "usr/bin/env", "usr/bin/tool"]);
  });

  test("takes what glibc loads by itself: libgcc_s, and before 2.34 the name services", () => {
    const names = ["libgcc_s.so.1", "libnss_dns.so.2", "libnss_files.so.2"];
    const tree = (libc: string) =>
      treeOf(
        elf("app", { needed: ["libc.so.6"] }),
        elf(`lib/${libc}`),
        `l:lib/libc.so.6>${libc}`,
        ...names.map((name) => elf(`lib/${name}`)),
      );
    expect(files(tree("libc-2.36.so"), "app")).toEqual(["lib/libc-2.36.so", "lib/libc.so.6", "lib/libgcc_s.so.1"]);
    expect(files(tree("libc-2.31.so"), "app")).toEqual([
      ...["lib/libc-2.31.so", "lib/libc.so.6"],
      ...names.map((name) => `lib/${name}`),
    ]);
  });

  test("a library or loader that is missing is an error that names who needs it", () => {
    const tree = treeOf(elf("app", { needed: ["liba.so"] }), elf("lib/liba.so", { needed: ["libgone.so"] }));
    expect(() => files(tree, "app")).toThrow("/lib/liba.so: expected libgone.so in ");
    expect(() => files(treeOf(elf("app", { interpreter: "/lib/ld.so" })), "app")).toThrow(
      "/app: expected /lib/ld.so, which it starts with",
    );
  });

  test("two libraries that need each other end", () => {
    const tree = treeOf(
      elf("app", { needed: ["liba.so"] }),
      elf("lib/liba.so", { needed: ["libb.so"] }),
      elf("lib/libb.so", { needed: ["liba.so"] }),
    );
    expect(files(tree, "app")).toEqual(["lib/liba.so", "lib/libb.so"]);
  });
});
