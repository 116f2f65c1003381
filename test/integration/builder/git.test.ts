import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../../needs.ts";
import { openWorkshop, type Shared } from "./workshop.ts";

const RECIPE = "FROM scratch\nCOPY src/ /src/\n";
let shared: Shared;

beforeAll(() => {
  const directory = mkdtempSync(join(tmpdir(), "ostler-git-"));
  chmodSync(directory, 0o755); // git runs as the owner of a context, who must reach it
  shared = { directory, tar: "", remove: () => rmSync(directory, { recursive: true, force: true }) };
});
afterAll(() => shared.remove());

describeWith({ root: true, programs: ["git"] }, "build in a git repository", () => {
  test("a clone under another umask, and one that belongs to somebody else, give the same image", async () => {
    const first = openRepository("first");
    const second = openWorkshop(shared, "second", first.home);
    const third = openWorkshop(shared, "third", first.home);
    rmSync(second.directory, { recursive: true });
    rmSync(third.directory, { recursive: true });
    execFileSync("sh", ["-c", 'umask 077; git clone -q "$1" "$2"', "sh", first.directory, second.directory]);
    execFileSync("sh", [
      "-c",
      'git clone -q "$1" "$2"; chown -R 4321:1234 "$2"',
      "sh",
      first.directory,
      third.directory,
    ]);
    const images = [await first.build(RECIPE), await second.build(RECIPE), await third.build(RECIPE)];
    expect(new Set(images.map(({ descriptor }) => descriptor.digest)).size).toBe(1);
    expect(images.map(({ inputs }) => inputs.clean)).toEqual([true, true, true]);
  });

  test("a repository whose .git is of another owner is refused, not taken for none", async () => {
    const workshop = openRepository("split");
    execFileSync("chown", ["-R", "4321:1234", workshop.directory]);
    execFileSync("chown", ["-R", "0:0", join(workshop.directory, ".git")]);
    await expect(workshop.build(RECIPE)).rejects.toMatchObject({
      code: "context-git",
      hint: expect.stringContaining("chown"),
    });
  });
});

function openRepository(name: string) {
  const workshop = openWorkshop(shared, name, join(shared.directory, `home-${name}`));
  workshop.write("src/app", "#!/bin/sh\n", 0o755);
  workshop.write("src/data", "1\n");
  workshop.write("thing.recipe", RECIPE);
  const git = (...args: string[]) => execFileSync("git", ["-C", workshop.directory, ...args]);
  git("init", "-q");
  git("add", ".");
  git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "first");
  return workshop;
}
