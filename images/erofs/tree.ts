import { type Entry, showPath } from "../entry.ts";
import { checkAttributes, checkName, deviceOf, refuse, targetOf } from "./check.ts";
import { ErofsError } from "./error.ts";
import { type Content, type DirectoryContent, type Inode, MODE_TYPES } from "./inode.ts";
import { ENTRY_LIMITS, LAYER_LIMITS } from "./limits.ts";
import { encodeXattrs } from "./xattrs.ts";

/** A directory's inode and what is in it. */
export type DirectoryInode = Inode & { content: DirectoryContent };

/**
 * The tree of one layer, in overlay form, while its entries come in.
 * - every directory of the layer has an entry of its own, before or after what is in it; only the root may do without
 * - `.wh.NAME` becomes a whiteout, unless the layer itself has NAME: then only a directory NAME becomes opaque
 * - `.wh..wh..opq` makes its directory opaque, whichever of the two comes first
 * - a later entry of the same path replaces the earlier one; a directory keeps what is in it
 */
export interface LayerTree {
  readonly root: DirectoryInode;
  /** Adds an entry and returns the inode that it made; undefined where it made none. */
  add(entry: Entry): Inode | undefined;
  /** Refuses a tree with directories that have no entry of their own. */
  check(): void;
}

const WHITEOUT_PREFIX = ".wh.";
const OPAQUE_MARKER = ".wh..wh..opq";
const RESERVED_PREFIX = ".wh..wh.";

export function createLayerTree(): LayerTree {
  const root = createDirectory();
  let entries = 0;
  let attributeBytes = 0;
  let lastPath = "";
  let lastDirectory = root;

  function directoryOf(path: string): DirectoryInode {
    const parent = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    if (parent === lastPath) return lastDirectory;
    let directory = root;
    for (const name of parent === "" ? [] : parent.split("/")) directory = descend(directory, name, path);
    lastPath = parent;
    lastDirectory = directory;
    return directory;
  }

  function descend(directory: DirectoryInode, name: string, path: string): DirectoryInode {
    const found = directory.content.children.get(name);
    if (found !== undefined && isDirectory(found)) return found;
    if (found !== undefined && found.content.kind !== "whiteout") {
      throw refuse(path, `expected ${showPath(name)} above it to be a directory`);
    }
    if (name.startsWith(WHITEOUT_PREFIX)) throw refuse(path, "expected no entry below a whiteout");
    const made = createDirectory();
    made.content.declared = false;
    insert(directory, name, made, path);
    return made;
  }

  function insert(directory: DirectoryInode, name: string, inode: Inode, path: string): void {
    if (++entries > LAYER_LIMITS.entries) {
      throw new ErofsError("layer-limit", `expected at most ${LAYER_LIMITS.entries} entries in a layer`);
    }
    const old = directory.content.children.get(checkName(name, path));
    if (old?.content.kind === "whiteout" && isDirectory(inode)) inode.content.opaque = true;
    if (old !== undefined) replace(old, path);
    directory.content.children.set(name, inode);
  }

  function replace(old: Inode, path: string): void {
    if (old.content.kind === "directory") {
      if (old.content.children.size > 0) throw refuse(path, "expected no other type for a directory that is not empty");
      lastPath = "";
      lastDirectory = root;
    }
    old.nlink--;
  }

  function addWhiteout(directory: DirectoryInode, name: string, entry: Entry): void {
    if (entry.type !== "file" || entry.size > 0) throw refuse(entry.path, "expected a whiteout to be an empty file");
    if (name === OPAQUE_MARKER) {
      if (directory === root) throw refuse(entry.path, "expected no opaque marker at the root: an overlay ignores it");
      directory.content.opaque = true;
      return;
    }
    const hidden = name.slice(WHITEOUT_PREFIX.length);
    if (hidden === "" || name.startsWith(RESERVED_PREFIX)) throw refuse(entry.path, "is not a whiteout that is known");
    const found = directory.content.children.get(hidden);
    if (found === undefined) insert(directory, hidden, createWhiteout(), entry.path);
    else if (isDirectory(found)) found.content.opaque = true;
  }

  function addDirectory(directory: DirectoryInode, name: string, entry: Entry): Inode {
    const found = entry.path === "" ? root : directory.content.children.get(name);
    const made = found !== undefined && isDirectory(found) ? found : createDirectory();
    if (made !== found) insert(directory, name, made, entry.path);
    made.content.declared = true;
    return Object.assign(made, attributesOf(entry, MODE_TYPES.directory));
  }

  function addHardLink(directory: DirectoryInode, name: string, entry: Entry): void {
    const target = find(root, entry.link);
    if (target === undefined || isDirectory(target) || target.content.kind === "whiteout") {
      throw refuse(entry.path, `expected its hard link target ${showPath(entry.link)} to be an earlier file`);
    }
    if (directory.content.children.get(name) === target) return;
    insert(directory, name, target, entry.path);
    target.nlink++;
  }

  function addInode(directory: DirectoryInode, name: string, entry: Entry): Inode {
    const content = contentOf(entry);
    if (content.kind === "symlink") countAttributes(content.target.length);
    const type = MODE_TYPES[entry.type as keyof typeof MODE_TYPES];
    const inode: Inode = { ...attributesOf(entry, type), nlink: 1, content, nid: 0 };
    insert(directory, name, inode, entry.path);
    return inode;
  }

  function attributesOf(entry: Entry, type: number) {
    checkAttributes(entry);
    const xattrs = encodeXattrs(entry.path, entry.xattrs);
    countAttributes(xattrs?.length ?? 0);
    const { uid, gid, mtime } = entry;
    return { mode: type | entry.mode, uid, gid, seconds: mtime.seconds, nanoseconds: mtime.nanoseconds, xattrs };
  }

  function countAttributes(bytes: number): void {
    attributeBytes += bytes;
    if (attributeBytes <= LAYER_LIMITS.attributeBytes) return;
    const limit = LAYER_LIMITS.attributeBytes;
    throw new ErofsError("layer-limit", `expected at most ${limit} bytes of extended attributes and symlink targets`);
  }

  return {
    root,
    add(entry) {
      const { path } = entry;
      if (path.length > ENTRY_LIMITS.pathBytes) throw refuse(path, `expected at most ${ENTRY_LIMITS.pathBytes} bytes`);
      if (path === "" && entry.type !== "directory") throw refuse(path, `expected a directory, got a ${entry.type}`);
      const directory = directoryOf(path);
      const name = copyOf(path.slice(path.lastIndexOf("/") + 1));
      if (name.startsWith(WHITEOUT_PREFIX)) return void addWhiteout(directory, name, entry);
      if (entry.type === "directory") return addDirectory(directory, name, entry);
      if (entry.type === "hardlink") return void addHardLink(directory, name, entry);
      return addInode(directory, name, entry);
    },
    check: () => checkDeclared(root, ""),
  };
}

export function isDirectory(inode: Inode): inode is DirectoryInode {
  return inode.content.kind === "directory";
}

/** A directory with the attributes that the root has when the layer does not say: 0755, root's, 1970. */
function createDirectory(): DirectoryInode {
  const content: DirectoryContent = { kind: "directory", children: new Map(), declared: true, opaque: false };
  return { ...plainAttributes(MODE_TYPES.directory | 0o755), nlink: 2, content, nid: 0 };
}

function createWhiteout(): Inode {
  return { ...plainAttributes(MODE_TYPES.character), nlink: 1, content: { kind: "whiteout" }, nid: 0 };
}

function plainAttributes(mode: number) {
  return { mode, uid: 0, gid: 0, seconds: 0, nanoseconds: 0, xattrs: undefined };
}

/** A name on its own: a piece of a string keeps all of it in memory. */
function copyOf(name: string): string {
  return Buffer.from(name, "latin1").toString("latin1");
}

/** The inode at a path, without making anything on the way. */
function find(root: DirectoryInode, path: string): Inode | undefined {
  let inode: Inode | undefined = root;
  for (const name of path.split("/")) {
    inode = inode !== undefined && isDirectory(inode) ? inode.content.children.get(name) : undefined;
  }
  return inode;
}

function contentOf(entry: Entry): Content {
  switch (entry.type) {
    case "symlink":
      return { kind: "symlink", target: targetOf(entry) };
    case "character":
    case "block":
      return { kind: "device", rdev: deviceOf(entry) };
    case "fifo":
      return { kind: "device", rdev: 0 };
    default:
      return { kind: "blocks", size: entry.size, start: 0 };
  }
}

function checkDeclared(directory: DirectoryInode, path: string): void {
  if (!directory.content.declared)
    throw refuse(path, "expected an entry for this directory: it only has entries below");
  for (const [name, child] of directory.content.children) {
    if (isDirectory(child)) checkDeclared(child, path === "" ? name : `${path}/${name}`);
  }
}
