import { lstatSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { ProcessError, run } from "../../effects/process.ts";
import { hostPath, parentOf } from "../../images/entry.ts";
import { BuildError } from "../error.ts";
import { ancestorsOf, compareBytes, fromBinary, toBinary } from "../tree/bytes.ts";

/** What git knows of a context directory. */
export interface GitState {
  /** Full id of HEAD; undefined where there is no repository, no commit or no git. */
  commit: string | undefined;
  /** Seconds since 1970 of the last commit that touched the context: other commits do not move an image. */
  commitTime: number | undefined;
  /** What git tracks, by path relative to the context. */
  tracked: ReadonlyMap<string, Tracked>;
  /** The directories that it lies in. */
  directories: ReadonlySet<string>;
  /**
   * What the commit does not hold as the build had it, readable: changes of what git tracks of the context, of the recipe
   * and its lock, and what was read (paths in the context) although git does not track it or does not look at it. Empty
   * without a commit.
   */
  uncommitted(read: ReadonlySet<string>): Promise<string[]>;
}

export interface Tracked {
  /** Of a file, the only two that git has: 0o644 and 0o755. Links and submodules have none. */
  mode?: number;
  /** Why git reports no change of it. */
  hidden?: "assume-unchanged" | "skip-worktree";
}

/** Files that a build reads besides its context, as whole paths. */
export interface Besides {
  /** Must be tracked: the recipe, its .dockerignore. */
  sources: readonly string[];
  /** May be ignored, not changed: provenance itself names the bases that it pins. */
  lock: string;
}

const NO_GIT: GitState = {
  commit: undefined,
  commitTime: undefined,
  tracked: new Map(),
  directories: new Set(),
  uncommitted: async () => [],
};

/**
 * Asks git about a context. No repository, no commit and no git give the same answer: none. Git is asked as the owner of
 * the context: it trusts no repository of somebody else, and what that one's configuration starts must not run as root.
 */
export async function readGit(context: string, besides: Besides): Promise<GitState> {
  const owner = await ownerOf(context);
  const ask = (...args: string[]) => git(context, owner, ["--literal-pathspecs", "-c", "core.quotePath=true", ...args]);
  const place = await ask("rev-parse", "--show-toplevel", "HEAD");
  const [, top, commit] = /^(.+)\n([0-9a-f]+)\n$/s.exec(place ?? "") ?? [];
  if (top === undefined || commit === undefined) return NO_GIT;
  const here = await realpath(context);
  const sources = [...new Set((await Promise.all(besides.sources.map(placesOf))).flat())];
  const locks = await placesOf(besides.lock);
  const asked = [...sources, ...locks].filter((file) => isInside(file, top));
  const paths = ["--", ".", ...asked.map((file) => relative(here, file))];
  // git before 2.36 cannot look into submodules here: their files then count as not tracked
  const list = async () =>
    (await ask("ls-files", "-v", "--stage", "--recurse-submodules", ...paths)) ??
    (await ask("ls-files", "-v", "--stage", ...paths));
  const [time, files] = await Promise.all([ask("log", "-1", "--format=%ct", "--", "."), list()]);
  const tracked = parseTracked(files ?? "");
  const directories = directoriesOf(tracked.keys());
  return {
    commit,
    commitTime: time === undefined || time === "" ? undefined : Number(time),
    tracked,
    directories,
    async uncommitted(taken) {
      const options = ["--untracked-files=normal", "--ignore-submodules=none", "--no-renames"];
      const status = await ask("status", "--porcelain", ...options, ...paths);
      if (status === undefined) return ["."];
      const fromHere = (file: string) => toBinary(relative(here, file));
      const read = new Set([...taken, ...sources.map(fromHere)]);
      const concerned = new Set([...read, ...locks.map(fromHere)].flatMap((path) => [path, ...ancestorsOf(path)]));
      const changed = parseStatus(status)
        .map(({ path, isUntracked }) => ({ path: fromHere(join(top, fromBinary(path))), isUntracked }))
        .filter(({ path, isUntracked }) => !isUntracked || concerned.has(path))
        .map(({ path }) => path);
      const strange = [...read].filter((path) => !tracked.has(path) && !directories.has(path));
      const isThere = (path: string) => lstatSync(hostPath(here, path), { throwIfNoEntry: false }) !== undefined;
      const hidden = hiddenFrom(tracked, read, isThere);
      return outermost([...changed, ...strange, ...hidden]).map((path) => {
        const why = tracked.get(path)?.hidden;
        return `${fromBinary(path) || "."}${why === undefined ? "" : ` (${why})`}`;
      });
    },
  };
}

/** `git ls-files -v --stage`: a letter (lower case: assume-unchanged; S: skip-worktree), mode, object, stage, tab, path. */
export function parseTracked(text: string): Map<string, Tracked> {
  const tracked = new Map<string, Tracked>();
  for (const line of text.split("\n")) {
    const [, tag = "", kind, path] = /^(\S) (\d+) [0-9a-f]+ \d\t(.+)$/.exec(line) ?? [];
    if (path === undefined) continue;
    const mode = kind?.startsWith("100") ? { mode: Number.parseInt(kind.slice(3), 8) } : {};
    const hidden =
      tag.toUpperCase() === "S" ? "skip-worktree" : tag === tag.toLowerCase() ? "assume-unchanged" : undefined;
    tracked.set(unquote(path), { ...mode, ...(hidden === undefined ? {} : { hidden }) });
  }
  return tracked;
}

/** `git status --porcelain`: two letters, a blank, the path from the top of the repository. */
function parseStatus(text: string): { path: string; isUntracked: boolean }[] {
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line) => ({ path: unquote(line.slice(3)), isUntracked: line.startsWith("??") }));
}

const ESCAPES: Readonly<Record<string, string>> = { a: "\x07", b: "\b", t: "\t", n: "\n", v: "\v", f: "\f", r: "\r" };

/** A path as git writes it, in quotes where it is not plain ASCII, as a binary string. */
function unquote(path: string): string {
  if (!path.startsWith('"')) return path;
  return path.slice(1, -1).replace(/\\([0-7]{3}|.)/g, (_, code: string) => {
    return code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8)) : (ESCAPES[code] ?? code);
  });
}

function directoriesOf(paths: Iterable<string>): Set<string> {
  const found = new Set([""]);
  for (const path of paths) {
    for (let at = parentOf(path); !found.has(at); at = parentOf(at)) found.add(at);
  }
  return found;
}

/** What git does not look at although it was read, or would have been with its directory were it there. */
function hiddenFrom(
  tracked: ReadonlyMap<string, Tracked>,
  read: ReadonlySet<string>,
  isThere: (path: string) => boolean,
): string[] {
  return [...tracked].flatMap(([path, { hidden }]) => {
    if (hidden === undefined) return [];
    const missed = () => ancestorsOf(path).some((directory) => read.has(directory)) && !isThere(path);
    return read.has(path) || missed() ? [path] : [];
  });
}

/** Each path once, sorted, without what lies in another of them. */
function outermost(paths: readonly string[]): string[] {
  const all = new Set(paths);
  return [...all].filter((path) => !ancestorsOf(path).some((directory) => all.has(directory))).sort(compareBytes);
}

/** A file by its place, and by that of what a link there leads to. */
async function placesOf(file: string): Promise<string[]> {
  const named = join(await realpath(dirname(file)), basename(file));
  return [...new Set([named, (await unlessMissing(realpath(file))) ?? named])];
}

function isInside(file: string, directory: string): boolean {
  const path = relative(directory, file);
  return path !== ".." && !path.startsWith("../");
}

interface Owner {
  uid: number;
  gid: number;
}

/** Who git runs as, where that is somebody else than this process. */
async function ownerOf(context: string): Promise<Owner | undefined> {
  const { uid, gid } = await stat(context);
  return process.getuid?.() === 0 && uid !== 0 ? { uid, gid } : undefined;
}

async function git(context: string, owner: Owner | undefined, args: readonly string[]): Promise<string | undefined> {
  const home = owner === undefined ? {} : { HOME: "/nonexistent", XDG_CONFIG_HOME: undefined };
  const env = { ...process.env, ...home, GIT_OPTIONAL_LOCKS: "0", LC_ALL: "C" };
  try {
    return (await run(["git", "-C", context, ...args], { env, ...owner })).stdout;
  } catch (error) {
    if (!(error instanceof ProcessError)) throw error;
    if (!error.output.includes("dubious ownership")) return undefined;
    throw new BuildError("context-git", `${context}: expected it and its .git to have one owner, got several`, {
      cause: error,
      hint: `chown -R the repository, or: git config --system --add safe.directory ${context}`,
    });
  }
}
