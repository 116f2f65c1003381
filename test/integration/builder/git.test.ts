import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../../needs.ts";
import { openWorkshop, type Shared, type Workshop } from "./workshop.ts";

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
    const first = await openRepository("first");
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
    expect(await Promise.all(images.map((image) => image.uncommitted()))).toEqual([[], [], []]);
  });

  test("a repository whose .git is of another owner is refused, not taken for none", async () => {
    const workshop = await openRepository("split");
    execFileSync("chown", ["-R", "4321:1234", workshop.directory]);
    execFileSync("chown", ["-R", "0:0", join(workshop.directory, ".git")]);
    await expect(workshop.build(RECIPE)).rejects.toMatchObject({
      code: "context-git",
      hint: expect.stringContaining("chown"),
    });
  });

  test("what was read and no commit holds is named: changed, ignored, untracked, or hidden from git", async () => {
    const workshop = await openRepository("dirty");
    const { write } = workshop;
    const built = async (text = RECIPE) => (await workshop.build(text)).uncommitted();
    expect(await built()).toEqual([]);
    write("notes", "untracked, and nothing reads it\n");
    write("scratch/notes", "");
    expect(await built()).toEqual([]);
    write("src/secret.txt", "SECRET\n");
    write("src/cache/new/a", "");
    mkdirSync(join(workshop.directory, "src/empty"));
    write(".git/info/exclude", "*.txt\nelsewhere\n");
    write("elsewhere/is/not/read", "");
    expect(await built()).toEqual(["src/cache", "src/empty", "src/secret.txt"]);
    git(workshop, "add", "src/cache");
    expect(await built()).toEqual(["src/cache/new/a", "src/empty", "src/secret.txt"]);
    git(workshop, "reset", "-q", "--hard");
    git(workshop, "clean", "-qfdx", "src");

    git(workshop, "update-index", "--assume-unchanged", "src/data");
    write("src/data", "2\n");
    expect(await built()).toEqual(["src/data (assume-unchanged)"]);
    rmSync(join(workshop.directory, "src/data"));
    expect(await built()).toEqual(["src/data (assume-unchanged)"]);
    git(workshop, "update-index", "--no-assume-unchanged", "src/data");
    git(workshop, "update-index", "--skip-worktree", "src/data");
    expect(await built()).toEqual(["src/data (skip-worktree)"]);
    git(workshop, "update-index", "--no-skip-worktree", "src/data");
    expect(await built()).toEqual(["src/data"]);
    git(workshop, "checkout", "-q", "src/data");

    const more = 'CONFIG /etc/a --template=elsewhere/t\nCMD ["/src/app"]\n';
    write("elsewhere/t", "a\n");
    symlinkSync("data", join(workshop.directory, "link.txt"));
    write("data", "1\n");
    git(workshop, "add", "data");
    expect(await built(`${RECIPE}COPY link.txt /link\n${more}`)).toEqual([
      "data",
      "elsewhere/t",
      "link.txt",
      "thing.recipe",
    ]);
  });

  test("the recipe, its .dockerignore and its lock are asked about wherever they lie; an ignored lock is none", async () => {
    const workshop = await openRepository("apart");
    const context = join(workshop.directory, "src");
    const built = async (options = {}) =>
      (await workshop.build(RECIPE.replace("src/ /src/", ". /"), options)).uncommitted();
    const inSource = () => built({ context });
    git(workshop, "rm", "-q", "--cached", "thing.recipe.lock");
    expect(await inSource()).toEqual(["../thing.recipe", "../thing.recipe.lock"]);
    git(workshop, "add", ".");
    git(workshop, ...COMMIT);
    expect(await inSource()).toEqual([]);
    workshop.write("thing.recipe.dockerignore", "nothing\n");
    expect(await inSource()).toEqual(["../thing.recipe.dockerignore"]);
    rmSync(join(workshop.directory, "thing.recipe.dockerignore"));
    git(workshop, "rm", "-q", "--cached", "thing.recipe.lock");
    workshop.write(".gitignore", "*.lock\n");
    git(workshop, "add", ".");
    git(workshop, ...COMMIT);
    expect(await inSource()).toEqual([]);

    const outside = openWorkshop(shared, "outside", workshop.home);
    const { uncommitted } = await outside.build(RECIPE, { context: workshop.directory });
    expect(await uncommitted()).toEqual(["../outside/thing.recipe"]);
  });

  test("files of a submodule are held by its commit, but for those that it ignores", async () => {
    const [inner, outer] = [await openRepository("inner"), await openRepository("outer")];
    const allow = ["-c", "protocol.file.allow=always"];
    git(outer, ...allow, "submodule", "--quiet", "add", inner.directory, "src/sub");
    outer.write(".dockerignore", "**/.git\n");
    git(outer, "add", ".");
    git(outer, ...COMMIT);
    expect(await (await outer.build(RECIPE)).uncommitted()).toEqual([]);
    outer.write(".git/modules/src/sub/info/exclude", "*.txt\n");
    outer.write("src/sub/secret.txt", "SECRET\n");
    expect(await (await outer.build(RECIPE)).uncommitted()).toEqual(["src/sub/secret.txt"]);
  });
});

const COMMIT = ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "a change"];

function git(workshop: Workshop, ...args: string[]): void {
  execFileSync("git", ["-C", workshop.directory, ...args]);
}

/** With its lock, which the first build writes, and everything committed. */
async function openRepository(name: string): Promise<Workshop> {
  const workshop = openWorkshop(shared, name, join(shared.directory, `home-${name}`));
  workshop.write("src/app", "#!/bin/sh\n", 0o755);
  workshop.write("src/data", "1\n");
  await workshop.build(RECIPE);
  git(workshop, "init", "-q");
  git(workshop, "add", ".");
  git(workshop, ...COMMIT);
  return workshop;
}
