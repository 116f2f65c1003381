import { ProcessError, run } from "../../effects/process.ts";
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

/** Asks git about a context. No repository, a repository of another owner, no commit and no git give the same answer: none. */
export async function readGit(context: string): Promise<GitState> {
  const [head, time, status, files] = await Promise.all([
    git(context, ["rev-parse", "--verify", "HEAD"]),
    git(context, ["log", "-1", "--format=%ct", "--", "."]),
    git(context, ["status", "--porcelain", "--untracked-files=normal", "--", "."]),
    git(context, ["ls-files", "--stage", "-z"]),
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

async function git(context: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const env = { ...process.env, GIT_OPTIONAL_LOCKS: "0", LC_ALL: "C" };
    return (await run(["git", "-C", context, ...args], { env })).stdout;
  } catch (error) {
    if (error instanceof ProcessError) return undefined;
    throw error;
  }
}
