import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from "node:fs";
import { hasErrno } from "../../effects/errno.ts";
import { hostPath, parentOf } from "../../images/entry.ts";
import { BuildError } from "../error.ts";
import { compareBytes, fromBinary, joinPath } from "../tree/bytes.ts";
import type { GitState } from "./git.ts";
import type { FileHashes } from "./hashes.ts";
import type { Ignore } from "./ignore.ts";

/** A file, directory or link of the build context. Its time is not part of it. */
export interface ContextEntry {
  /** Relative to the context, a binary string; '' is the context itself. */
  path: string;
  type: "file" | "directory" | "symlink";
  mode: number;
  size: number;
  link: string;
  /** SHA-256 (hex) of a file's content. */
  sha256: string;
  /** Where the bytes are on this machine. */
  file: string | Buffer;
}

export interface Context {
  readonly directory: string;
  /** The entry a path names, links followed inside the context; undefined where there is none or it is ignored. */
  find(path: string): ContextEntry | undefined;
  /** Everything below a directory, sorted, parents first, ignored paths left out; without the directory itself. */
  below(directory: string): ContextEntry[];
  /** What the build took of it, and the links that led there: what a commit must hold. */
  readonly taken: Set<string>;
}

interface ContextOptions {
  ignore: Ignore;
  hashes: FileHashes;
  /** The modes of what git tracks hold: a checkout's umask must not change an image. */
  git: Pick<GitState, "tracked" | "directories">;
}

const LINK_LIMIT = 40;

/** Opens a build context. A path that leaves it, by `..` or by a symbolic link, is refused. */
export function openContext(directory: string, options: ContextOptions): Context {
  const { tracked, directories } = options.git;
  const taken = new Set<string>();
  const read = (path: string): ContextEntry | undefined => {
    const stats = lstatOf(hostPath(directory, path));
    if (stats === undefined || (path !== "" && options.ignore.ignored(path))) return undefined;
    return describe(directory, path, stats, options.hashes, modeOf(path, stats));
  };
  const modeOf = (path: string, stats: BigIntStats) => {
    if (stats.isDirectory() && directories.has(path)) return 0o755;
    return tracked.get(path)?.mode ?? Number(stats.mode & 0o7777n);
  };
  const below = (parent: string): ContextEntry[] => {
    const names = readdirSync(hostPath(directory, parent), { encoding: "latin1" }).sort(compareBytes);
    return names.flatMap((name) => {
      const path = joinPath(parent, name);
      if (options.ignore.prunable(path)) return [];
      const stats = lstatOf(hostPath(directory, path));
      const isDirectory = stats?.isDirectory() === true;
      const entry = read(path);
      const inside = isDirectory ? below(path) : [];
      // a directory that is ignored, but holds something that is not, comes along
      if (entry === undefined && inside.length > 0 && stats !== undefined) {
        return [describe(directory, path, stats, options.hashes, modeOf(path, stats)), ...inside];
      }
      return entry === undefined ? [] : [entry, ...inside];
    });
  };
  return { directory, below, taken, find: (path) => read(resolveInside(directory, path, taken)) };
}

/** Follows the links of a path, which go into `taken`; every one of them must stay inside the context. */
function resolveInside(directory: string, path: string, taken: Set<string>): string {
  let here = "";
  let rest = path.split("/").filter((name) => name !== "" && name !== ".");
  for (let links = 0; rest.length > 0; ) {
    const [name = "", ...next] = rest;
    rest = next;
    if (name === "..") {
      if (here === "") throw leavesContext(path, directory);
      here = parentOf(here);
      continue;
    }
    const place = joinPath(here, name);
    if (lstatOf(hostPath(directory, place))?.isSymbolicLink() !== true) {
      here = place;
      continue;
    }
    taken.add(place);
    const target = readlinkSync(hostPath(directory, place), "latin1");
    links += 1;
    if (target.startsWith("/") || links > LINK_LIMIT) throw leavesContext(path, directory);
    rest = [...target.split("/").filter((part) => part !== "" && part !== "."), ...rest];
  }
  return here;
}

function leavesContext(path: string, directory: string): BuildError {
  return new BuildError(
    "context-escape",
    `${fromBinary(path)}: expected a path inside the context ${directory}, got one that leaves it`,
    { hint: "put what the recipe copies into the context, or choose a larger one with --context" },
  );
}

function describe(directory: string, path: string, stats: BigIntStats, hashes: FileHashes, mode: number): ContextEntry {
  const file = hostPath(directory, path);
  const plain = { path, mode, size: 0, link: "", sha256: "", file };
  if (stats.isDirectory()) return { ...plain, type: "directory" };
  if (stats.isSymbolicLink()) return { ...plain, type: "symlink", mode: 0o777, link: readlinkSync(file, "latin1") };
  if (stats.isFile()) return { ...plain, type: "file", size: Number(stats.size), sha256: hashes.of(file, stats) };
  throw new BuildError(
    "context-file",
    `${fromBinary(path)}: expected a file, directory or symbolic link in the context`,
    {
      hint: `take it out with a line in .dockerignore`,
    },
  );
}

function lstatOf(path: string | Buffer): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true });
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}
