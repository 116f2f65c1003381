import { parentOf } from "../../images/entry.ts";
import { BuildError } from "../error.ts";
import type { CopyPath, CopyStep } from "../recipe/recipe.ts";
import type { Context, ContextEntry } from "../source/context.ts";
import { pathPattern } from "../source/pattern.ts";
import { joinPath, toBinary } from "../tree/bytes.ts";
import type { ListedEntry } from "../tree/listing.ts";
import { contentOf, type Tree } from "../tree/tree.ts";

/** One thing that a COPY names: a file or link by itself, or a directory with everything in it. */
export interface CopySource {
  /** As it is named: what messages and `--explain` show. */
  label: string;
  /** Last name of the path as written: the file's name in a directory. */
  name: string;
  root: ListedEntry;
  /** Entries below a directory, by path relative to it; hard links name another entry of this list. */
  inside: ListedEntry[];
}

/** Finds the sources of a COPY in the build context. A source that is missing, ignored or outside is an error. */
export function contextSources(step: CopyStep, context: Context, epoch: number): CopySource[] {
  const listed = (entry: ContextEntry): ListedEntry => fromContext(entry, epoch);
  const sources = findAll(step, {
    where: `the context ${context.directory}`,
    hint: "check the path, and that .dockerignore does not leave it out",
    find: (path) => {
      const entry = context.find(path);
      // the mode of the directory that happens to hold the sources says nothing about the image
      return entry === undefined
        ? undefined
        : { ...listed(entry), ...(entry.type === "directory" ? { mode: 0o755 } : {}) };
    },
    below: (directory) => context.below(directory).map(listed),
  });
  for (const { root, inside } of sources) {
    for (const path of ["", ...inside.map((entry) => entry.path)]) context.taken.add(joinPath(root.path, path));
  }
  return sources;
}

/** Finds the sources of `COPY --from` in a tree; owners, times, xattrs and hard links come along. */
export function treeSources(step: CopyStep, tree: Tree, where: string): CopySource[] {
  return findAll(step, {
    where,
    hint: "check the path, and that a step above makes it",
    find: (path) => withContent(tree, tree.at(tree.resolve(path))),
    below: (directory) =>
      tree
        .below(directory)
        .slice(1)
        .map((entry) => entry),
  }).map((source) => ({ ...source, inside: keepLinksInside(tree, source) }));
}

interface Place {
  where: string;
  /** What to check where a source is not there. */
  hint: string;
  find(path: string): ListedEntry | undefined;
  below(directory: string): ListedEntry[];
}

function findAll(step: CopyStep, place: Place): CopySource[] {
  return step.sources.flatMap((source) => {
    const paths = source.pattern ? expand(source, place) : [trimRoot(toBinary(source.path))];
    if (paths.length === 0) throw missing(source, place);
    return paths.map((path) => readSource(step, source, path, place));
  });
}

function readSource(step: CopyStep, source: CopyPath, path: string, place: Place): CopySource {
  const root = place.find(path);
  if (root === undefined) throw missing(source, place);
  const excluded = step.exclude.map((pattern) => pathPattern(toBinary(pattern)));
  const relative = (entry: ListedEntry) => entry.path.slice(root.path === "" ? 0 : root.path.length + 1);
  const kept = (entry: ListedEntry) =>
    !ancestorsAndSelf(relative(entry)).some((at) => excluded.some((one) => one.test(at)));
  const inside = root.type === "directory" ? place.below(root.path).filter(kept) : [];
  return {
    label: root.type === "directory" && !source.path.endsWith("/") ? `${source.path}/` : source.path,
    name: path.slice(path.lastIndexOf("/") + 1),
    root,
    inside: inside.map((entry) => ({ ...entry, path: relative(entry) })),
  };
}

/** Every path that a pattern with wildcards names, looked for below the directory before its first wildcard. */
function expand(source: CopyPath, place: Place): string[] {
  const pattern = trimRoot(toBinary(source.path));
  const fixed = parentOf(/^[^*?[\\]*/.exec(pattern)?.[0] ?? "");
  const start = place.find(fixed);
  if (start?.type !== "directory") return [];
  const wanted = pathPattern(pattern);
  const written = (entry: ListedEntry) =>
    joinPath(fixed, entry.path.slice(start.path === "" ? 0 : start.path.length + 1));
  return place
    .below(start.path)
    .map(written)
    .filter((path) => wanted.test(path));
}

function keepLinksInside(tree: Tree, source: CopySource): ListedEntry[] {
  const prefix = source.root.path === "" ? "" : `${source.root.path}/`;
  const firsts = new Map<string, string>();
  return source.inside.map((entry) => {
    if (entry.type !== "hardlink" && entry.type !== "file") return entry;
    const target = entry.type === "hardlink" ? entry.link : joinPath(source.root.path, entry.path);
    const first = firsts.get(target);
    if (first !== undefined) return { ...entry, type: "hardlink", link: first };
    firsts.set(target, entry.path);
    return entry.type === "file"
      ? entry
      : { ...(withContent(tree, tree.at(prefix + entry.path)) as ListedEntry), path: entry.path };
  });
}

/** The entry with its own content, where it is a hard link to another. */
function withContent(tree: Tree, entry: ListedEntry | undefined): ListedEntry | undefined {
  if (entry?.type !== "hardlink") return entry;
  const content = contentOf({ get: (path) => tree.at(path) }, entry.path);
  return content === undefined ? undefined : { ...content, path: entry.path };
}

function fromContext(entry: ContextEntry, epoch: number): ListedEntry {
  const plain = { uid: 0, gid: 0, mtime: { seconds: epoch, nanoseconds: 0 }, device: { major: 0, minor: 0 } };
  const { path, type, mode, size, link } = entry;
  const listed = { path, type, mode, size, link, ...plain, xattrs: new Map<string, Buffer>() };
  return type === "file" ? { ...listed, sha256: entry.sha256, content: { file: entry.file } } : listed;
}

function ancestorsAndSelf(path: string): string[] {
  const names = path.split("/");
  return names.map((_, index) => names.slice(0, index + 1).join("/"));
}

function trimRoot(path: string): string {
  return path.replace(/^\/+/, "").replace(/^\.$/, "");
}

function missing(source: CopyPath, { where, hint }: Place): BuildError {
  const what = source.pattern ? "at least one path that matches" : "a file or directory";
  return new BuildError("source-missing", `${source.path}: expected ${what} in ${where}, got none`, { hint });
}
