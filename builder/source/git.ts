import { stat } from "node:fs/promises";
import { ProcessError, run } from "../../effects/process.ts";
import { BuildError } from "../error.ts";
import { toBinary } from "../tree/bytes.ts";

/** What git knows of a context directory. */
export interface GitState {
  /** Full id of HEAD; undefined where there is no repository, no commit or no git. */
  commit: string | undefined;
  /** Seconds since 1970 of the last commit that touched the context: other commits do not move an image. */
  commitTime: number | undefined;
  /** Everything in the context is committed. Always false without a commit. */
  clean: boolean;
  /** Tracked files by path relative to the context, with the only modes git has: 0o644 and 0o755. */
  tracked: ReadonlyMap<string, number>;
}

const NO_GIT: GitState = { commit: undefined, commitTime: undefined, clean: false, tracked: new Map() };

/**
 * Asks git about a context. No repository, no commit and no git give the same answer: none. Git is asked as the owner of
 * the context: it trusts no repository of somebody else, and what that one's configuration starts must not run as root.
 */
export async function readGit(context: string): Promise<GitState> {
  const owner = await ownerOf(context);
  const ask = (...args: string[]) => git(context, owner, args);
  const [head, time, status, files] = await Promise.all([
    ask("rev-parse", "--verify", "HEAD"),
    ask("log", "-1", "--format=%ct", "--", "."),
    ask("status", "--porcelain", "--untracked-files=normal", "--", "."),
    ask("ls-files", "--stage", "-z"),
  ]);
  if (head === undefined || status === undefined) return NO_GIT;
  const commitTime = time === undefined || time === "" ? undefined : Number(time);
  return { commit: head.trim(), commitTime, clean: status === "", tracked: parseTracked(files ?? "") };
}

/** `git ls-files --stage -z`: mode, object, stage, tab, path. Links and submodules have no mode of their own. */
export function parseTracked(text: string): Map<string, number> {
  const modes = new Map<string, number>();
  for (const line of text.split("\0")) {
    const [, kind, path] = /^100(644|755) [0-9a-f]+ \d\t([\s\S]+)$/.exec(line) ?? [];
    if (kind !== undefined && path !== undefined) modes.set(toBinary(path), Number.parseInt(kind, 8));
  }
  return modes;
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
