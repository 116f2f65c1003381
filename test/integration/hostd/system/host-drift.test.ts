import { mkdirSync, writeFileSync } from "node:fs";
import { rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { withTemporaryDirectory } from "../../../../effects/temporary.ts";
import { compareUpper, type Entry, entriesIn } from "../../../../hostd/system/host/drift.ts";

test("entriesIn: a directory that vanishes while the upper is listed is no error", () =>
  withTemporaryDirectory(tmpdir(), async (upper) => {
    const directories = Array.from({ length: 200 }, (_, number) => join(upper, String(number)));
    for (const directory of directories) mkdirSync(directory);
    const vanish = async () => {
      for (const directory of directories) await rmdir(directory);
    };
    const [found] = await Promise.all([entriesIn(upper), vanish()]);
    expect(found.every(({ kind }) => kind === "directory")).toBe(true);
    expect(await entriesIn(upper)).toEqual([]);
    expect(await entriesIn(join(upper, "gone"))).toEqual([]);
  }));

test.each<[string, Entry]>([
  ["a file that vanishes", { path: "zone/file", kind: "file" }],
  ["a directory that vanishes", { path: "zone", kind: "directory" }],
  ["a new directory that vanishes", { path: "new", kind: "directory" }],
  ["an opaque directory that vanishes", { path: "new", kind: "opaque" }],
  ["what has a file in place of the directory above it", { path: "issue/file", kind: "file" }],
  ["a directory that is a file by now", { path: "issue", kind: "directory" }],
])("compareUpper: %s once it was listed is no drift, and hinders nothing else", (_, entry) =>
  withTemporaryDirectory(tmpdir(), async (directory) => {
    const [upper, below] = ["upper", "below"].map((name) => join(directory, name)) as [string, string];
    for (const path of [upper, join(below, "zone"), join(below, "issue")]) mkdirSync(path, { recursive: true });
    for (const path of ["zone/file", "issue/file"]) writeFileSync(join(below, path), "");
    for (const path of ["motd", "issue"]) writeFileSync(join(upper, path), "changed by hand\n");
    const { drift, same } = await compareUpper(upper, [entry, { path: "motd", kind: "file" }], [below], 10);
    const told = drift.map(({ path }) => path).filter((path) => path !== "/etc/issue");
    expect({ told, same }).toEqual({ told: ["/etc/motd"], same: [] });
  }),
);
