import { BuildError } from "../error.ts";
import type { CopyStep } from "../recipe/recipe.ts";
import { joinPath, toBinary } from "../tree/bytes.ts";
import type { ListedEntry } from "../tree/listing.ts";
import type { Tree } from "../tree/tree.ts";
import { lookupOwner } from "../tree/users.ts";
import { type Draft, openDraft } from "./draft.ts";
import { applyMode } from "./mode.ts";
import type { CopySource } from "./sources.ts";

/**
 * What a COPY puts over the tree: a directory gives its contents, a file goes to the destination or, where that is a
 * directory or was written with a trailing slash, into it. Links on the way to the destination are followed inside the
 * tree; a directory that is there already keeps its owner and mode. `also` are whole-tree paths that come along.
 */
export function planCopy(
  step: CopyStep,
  tree: Tree,
  sources: readonly CopySource[],
  also: readonly ListedEntry[],
  epoch: number,
): ListedEntry[] {
  const draft = openDraft(tree, epoch);
  const change = changeOf(step, tree);
  const destination = draft.resolve(toBinary(step.destination));
  const intoDirectory = step.intoDirectory || draft.at(destination)?.type === "directory";
  const single = sources.length + step.files.length === 1;
  if (!intoDirectory && !single) {
    throw new BuildError("destination", `${step.destination}: expected a trailing slash, since several files go there`);
  }
  for (const source of sources) {
    if (source.root.type === "directory") putDirectory(draft, source, destination, change);
    else put(draft, change({ ...source.root, path: intoDirectory ? joinPath(destination, source.name) : destination }));
  }
  for (const file of step.files) {
    const path = intoDirectory ? joinPath(destination, toBinary(file.name)) : destination;
    put(draft, change(heredocFile(path, file.content, epoch)));
  }
  for (const entry of also) putAlso(draft, entry);
  return draft.entries();
}

type Change = (entry: ListedEntry) => ListedEntry;

/** `--chown` and `--chmod`; a symbolic link has an owner but no mode. */
function changeOf(step: CopyStep, tree: Tree): Change {
  const owner = step.owner === undefined ? {} : lookupOwner(tree, step.owner);
  return (entry) => ({
    ...entry,
    ...owner,
    mode: entry.type === "symlink" ? entry.mode : applyMode(entry.mode, step.mode, entry.type === "directory"),
  });
}

function putDirectory(draft: Draft, source: CopySource, destination: string, change: Change): void {
  draft.directory(destination, change(source.root));
  const moved = (path: string) => joinPath(destination, path);
  for (const entry of source.inside) {
    const link = entry.type === "hardlink" ? draft.resolve(moved(entry.link), { keepLast: true }) : entry.link;
    put(draft, change({ ...entry, path: moved(entry.path), link }));
  }
}

/** Puts an entry where its directory really is: a link to a directory on the way is followed, as cp does. */
function put(draft: Draft, entry: ListedEntry): void {
  const path = draft.resolve(entry.path, { keepLast: true });
  const isLinkToDirectory = entry.type === "directory" && draft.at(path)?.type === "symlink";
  draft.put({ ...entry, path: isLinkToDirectory ? draft.resolve(path) : path });
}

/** A library or a link to one: what the tree has at that path already stays, unless it is another file. */
function putAlso(draft: Draft, entry: ListedEntry): void {
  const path = draft.resolve(entry.path, { keepLast: true });
  const present = draft.at(path);
  if (entry.type === "directory" || entry.type === "symlink") {
    if (present === undefined) draft.put({ ...entry, path });
  } else if (present?.sha256 === undefined || present.sha256 !== entry.sha256) draft.put({ ...entry, path });
}

function heredocFile(path: string, content: string, epoch: number): ListedEntry {
  const bytes = Buffer.from(content);
  return {
    path,
    type: "file",
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: { seconds: epoch, nanoseconds: 0 },
    size: bytes.length,
    link: "",
    device: { major: 0, minor: 0 },
    xattrs: new Map(),
    content: { bytes },
  };
}
