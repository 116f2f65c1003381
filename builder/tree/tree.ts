import { readFileSync } from "node:fs";
import { parentOf } from "../../images/entry.ts";
import { BuildError } from "../error.ts";
import { fromBinary, joinPath } from "./bytes.ts";
import type { ListedEntry } from "./listing.ts";

/** As many symbolic links as the kernel follows in one path. */
const LINK_LIMIT = 40;

/**
 * A read-only view of a merged tree, without mounting it. Paths are binary strings relative to the root; every
 * symbolic link, absolute ones too, resolves inside the tree.
 */
export interface Tree {
  /** All entries, sorted, parents first. */
  readonly entries: readonly ListedEntry[];
  /** The entry at exactly this path; links are not followed. */
  at(path: string): ListedEntry | undefined;
  /** The path that `path` names once links are followed; what does not exist is kept as it is written. */
  resolve(path: string, options?: { keepLast?: boolean }): string;
  /** Names in a directory, sorted. */
  names(directory: string): string[];
  /** The entry at the path, and everything below it. */
  below(path: string): ListedEntry[];
  /** A file's bytes; links are followed. Undefined where there is no file. */
  read(path: string): Buffer | undefined;
  /** Every link that resolving `path` goes through, and the final path: what has to exist for `path` to work. */
  trail(path: string): string[];
}

/** Opens a view of entries as `mergedTree` gives them. */
export function openTree(entries: readonly ListedEntry[]): Tree {
  const index = new Map(entries.map((entry) => [entry.path, entry]));
  const children = Map.groupBy(
    entries.filter((entry) => entry.path !== ""),
    (entry) => parentOf(entry.path),
  );
  const tree: Tree = {
    entries,
    at: (path) => index.get(path),
    resolve: (path, options = {}) => resolvePath((at) => index.get(at), path, options),
    trail: (path) => follow((at) => index.get(at), path, false),
    names: (directory) =>
      (children.get(directory) ?? []).map((entry) => entry.path.slice(entry.path.lastIndexOf("/") + 1)),
    below(path) {
      const entry = index.get(path);
      if (entry === undefined) return [];
      return [entry, ...(children.get(path) ?? []).flatMap((child) => tree.below(child.path))];
    },
    read: (path) => readEntry(contentOf(index, tree.resolve(path))),
  };
  return tree;
}

/** The file entry that holds the content of `path`: the first name of its inode where it is a hard link. */
export function contentOf(index: Pick<Map<string, ListedEntry>, "get">, path: string): ListedEntry | undefined {
  const entry = index.get(path);
  return entry?.type === "hardlink" ? index.get(entry.link) : entry;
}

function readEntry(entry: ListedEntry | undefined): Buffer | undefined {
  if (entry?.content === undefined) return undefined;
  return "bytes" in entry.content ? entry.content.bytes : readFileSync(entry.content.file);
}

/** Where `path` leads in whatever `lookup` knows; a name that does not exist is kept as it is written. */
export function resolvePath(lookup: Lookup, path: string, options: { keepLast?: boolean } = {}): string {
  return follow(lookup, path, options.keepLast === true).at(-1) as string;
}

export type Lookup = (path: string) => ListedEntry | undefined;

/** The links on the way, each by its own resolved path, then the final path. */
function follow(lookup: Lookup, path: string, keepLast: boolean): string[] {
  const links: string[] = [];
  let rest = namesOf(path);
  let here = "";
  while (rest.length > 0) {
    const [name = "", ...next] = rest;
    rest = next;
    if (name === "..") {
      here = parentOf(here);
      continue;
    }
    const place = joinPath(here, name);
    const entry = lookup(place);
    if (entry?.type !== "symlink" || (keepLast && rest.length === 0)) {
      here = place;
      continue;
    }
    links.push(place);
    if (links.length > LINK_LIMIT) {
      throw new BuildError("path", `/${fromBinary(path)}: expected at most ${LINK_LIMIT} symbolic links on the way`);
    }
    rest = [...namesOf(entry.link), ...rest];
    if (entry.link.startsWith("/")) here = "";
  }
  return [...links, here];
}

function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}
