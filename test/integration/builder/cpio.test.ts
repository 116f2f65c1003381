import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { recoveryArchive } from "../../../builder/boot/recovery.ts";
import { openTree } from "../../../builder/tree/tree.ts";
import { describeWith } from "../../needs.ts";
import { entries } from "../../unit/builder/entries.ts";

describeWith({ programs: ["cpio"] }, "recoveryArchive", () => {
  const tree = openTree(
    entries(
      "d:",
      "d:usr",
      "d:usr/lib",
      "d:usr/lib/hostd",
      "f:usr/lib/hostd/hostd=#!/bin/sh",
      "f:usr/lib/hostd/odd=12345",
      "l:usr/lib/hostd/z>hostd",
      "f:usr/lib/other=x",
    ),
  );

  test("GNU cpio lists the directory with its parents, and nothing beside it", () => {
    const list = execFileSync("cpio", ["-itv", "--quiet", "--numeric-uid-gid"], {
      input: recoveryArchive(tree, "usr/lib/hostd"),
    }).toString();
    const lines = list
      .trimEnd()
      .split("\n")
      .map((line) => line.replace(/^(\S+) +\d+ +(\d+ +\d+) +(\d+) .* 1970 /, "$1 $2 $3 ").replaceAll(/ +/g, " "));
    expect(lines).toEqual([
      "drwxr-xr-x 0 0 0 usr",
      "drwxr-xr-x 0 0 0 usr/lib",
      "drwxr-xr-x 0 0 0 usr/lib/hostd",
      "-rw-r--r-- 0 0 9 usr/lib/hostd/hostd",
      "-rw-r--r-- 0 0 5 usr/lib/hostd/odd",
      "lrw-r--r-- 0 0 5 usr/lib/hostd/z -> hostd",
    ]);
  });

  test("the same tree gives the same bytes", () => {
    expect(recoveryArchive(tree, "usr/lib/hostd").equals(recoveryArchive(tree, "usr/lib/hostd"))).toBe(true);
  });
});
