import { plainEntry } from "../../images/entry.ts";
import { isWhiteout, OPAQUE_VALUE, OPAQUE_XATTR } from "../../images/layer/markers.ts";
import { compareBytes, joinPath } from "./bytes.ts";
import { isOpaque, type ListedEntry } from "./listing.ts";

/** What lies below the squashed listings: nothing (a whole tree), or something that whiteouts must still hide. */
export type Below = { kind: "nothing" } | { kind: "tree"; has(path: string): boolean };

interface SquashOptions {
  below: Below;
  /** Leave these paths out, with all that is below them. */
  drop?: (path: string) => boolean;
}

/** A place in the squashed tree. `content` is the file entry that a hard link stands for. */
interface Node {
  entry: ListedEntry;
  content?: ListedEntry;
  /** Everything below the squashed listings is hidden here. */
  opaque: boolean;
  children: Map<string, Node>;
}

/**
 * Squashes the results of steps, lowest first, into one sorted list of entries: later entries replace earlier ones,
 * whiteouts and opaque directories are applied, and hard links whose first name is gone are kept under the next one.
 * With a tree below, whiteouts and opaque marks stay exactly where they hide something in it.
 */
export function squash(listings: readonly (readonly ListedEntry[])[], options: SquashOptions): ListedEntry[] {
  const root: Node = { entry: plainEntry("", "directory", 0o755), opaque: false, children: new Map() };
  for (const listing of listings) {
    const files = new Map<string, ListedEntry>();
    for (const entry of listing) {
      if (entry.type === "file") files.set(entry.path, entry);
      place(root, entry, entry.type === "hardlink" ? files.get(entry.link) : entry);
    }
  }
  const entries: ListedEntry[] = [];
  emit(root, options, new Map(), entries);
  return entries;
}

/** The whole tree that a chain of step results shows, lowest first. */
export function mergedTree(listings: readonly (readonly ListedEntry[])[]): ListedEntry[] {
  return squash(listings, { below: { kind: "nothing" } });
}

function place(root: Node, entry: ListedEntry, content: ListedEntry | undefined): void {
  if (entry.path === "") {
    root.entry = withoutOpaque(entry);
    return;
  }
  const names = entry.path.split("/");
  const name = names.pop() as string;
  const parent = names.reduce(directoryIn, root);
  const present = parent.children.get(name);
  if (entry.type === "directory") placeDirectory(parent, name, entry, present);
  else {
    const kept = entry.type === "file" || entry.type === "hardlink" ? content : undefined;
    parent.children.set(name, {
      entry,
      ...(kept === undefined ? {} : { content: kept }),
      opaque: false,
      children: new Map(),
    });
  }
}

/** A listing names parents first; a parent that an upper directory leaves out can only be the root's. */
function directoryIn(parent: Node, name: string): Node {
  const found = parent.children.get(name);
  if (found?.entry.type === "directory") return found;
  throw new TypeError(`expected the entry of directory ${joinPath(parent.entry.path, name)} before what it holds`);
}

function placeDirectory(parent: Node, name: string, entry: ListedEntry, present: Node | undefined): void {
  const plain = withoutOpaque(entry);
  if (present?.entry.type === "directory" && !isOpaque(entry)) {
    present.entry = plain;
    return;
  }
  // over nothing, a plain directory merges with what is below; over anything else it starts empty
  const opaque = isOpaque(entry) || present !== undefined;
  parent.children.set(name, { entry: plain, opaque, children: new Map() });
}

function emit(node: Node, options: SquashOptions, links: Map<ListedEntry, string>, entries: ListedEntry[]): void {
  const { entry } = node;
  if (options.drop?.(entry.path) === true) return;
  const hides = options.below.kind === "tree" && (entry.path === "" || options.below.has(entry.path));
  if (isWhiteout(entry)) {
    if (hides) entries.push(entry);
    return;
  }
  if (node.content !== undefined) entries.push(linked(entry, node.content, links));
  else entries.push(node.opaque && hides ? withOpaque(entry) : entry);
  const inside: SquashOptions = node.opaque ? { ...options, below: { kind: "nothing" } } : options;
  const children = [...node.children].sort(([a], [b]) => compareBytes(a, b)).map(([, child]) => child);
  // whiteouts stand before their siblings (image-spec layer.md, "Whiteouts")
  for (const child of children) if (isWhiteout(child.entry)) emit(child, inside, links, entries);
  for (const child of children) if (!isWhiteout(child.entry)) emit(child, inside, links, entries);
}

function linked(entry: ListedEntry, content: ListedEntry, links: Map<ListedEntry, string>): ListedEntry {
  const first = links.get(content);
  if (first === undefined) {
    links.set(content, entry.path);
    return content.path === entry.path ? content : { ...content, path: entry.path };
  }
  const { content: _file, sha256: _digest, ...attributes } = content;
  return { ...attributes, path: entry.path, type: "hardlink", size: 0, link: first, xattrs: new Map() };
}

function withOpaque(entry: ListedEntry): ListedEntry {
  return { ...entry, xattrs: new Map([...entry.xattrs, [OPAQUE_XATTR, Buffer.from(OPAQUE_VALUE)]]) };
}

function withoutOpaque(entry: ListedEntry): ListedEntry {
  if (!isOpaque(entry)) return entry;
  return { ...entry, xattrs: new Map([...entry.xattrs].filter(([name]) => name !== OPAQUE_XATTR)) };
}
