import { parentOf } from "../../images/entry.ts";
import { BuildError } from "../error.ts";
import { comparePaths, fromBinary } from "../tree/bytes.ts";
import type { ListedEntry } from "../tree/listing.ts";
import { resolvePath, type Tree } from "../tree/tree.ts";

/** What a COPY puts over a tree, as a list of entries, before anything is written. */
export interface Draft {
  /** The entry that a path would have: the draft's own, else the tree's. */
  at(path: string): ListedEntry | undefined;
  /** Follows links through the draft and the tree. */
  resolve(path: string, options?: { keepLast?: boolean }): string;
  /** Makes sure of a directory and all above it; one that is missing is made 0755, owned by root. */
  directory(path: string, attributes?: Attributes): void;
  /** Puts an entry; what stood there before is replaced, but for a directory that stays one. */
  put(entry: ListedEntry): void;
  /** All entries, sorted, parents first. */
  entries(): ListedEntry[];
}

/** Starts a draft over a tree; `epoch` (seconds since 1970) is the time of directories that it makes or adds to. */
export function openDraft(tree: Tree, epoch: number): Draft {
  const entries = new Map<string, ListedEntry>();
  const at = (path: string) => entries.get(path) ?? tree.at(path);
  const draft: Draft = {
    at,
    resolve: (path, options) => resolvePath(at, path, options),
    directory(path, attributes) {
      const present = at(path);
      if (present !== undefined && present.type !== "directory") throw notDirectory(path);
      if (path !== "") draft.directory(parentOf(path));
      if (entries.has(path)) return;
      const mtime = { seconds: epoch, nanoseconds: 0 };
      entries.set(path, present === undefined ? newDirectory(path, mtime, attributes) : { ...present, mtime });
    },
    put(entry) {
      if (entry.type === "directory") return draft.directory(entry.path, entry);
      if (at(entry.path)?.type === "directory") {
        throw new BuildError(
          "destination",
          `/${fromBinary(entry.path)}: expected no directory there, since a file is copied to it`,
        );
      }
      draft.directory(parentOf(entry.path));
      entries.set(entry.path, entry);
    },
    entries: () => [...entries.values()].sort((a, b) => comparePaths(a.path, b.path)),
  };
  draft.directory(""); // the upper directory's own attributes are the root's of everything above
  return draft;
}

type Attributes = Pick<ListedEntry, "mode" | "uid" | "gid" | "mtime" | "xattrs">;

function newDirectory(path: string, mtime: ListedEntry["mtime"], attributes: Attributes | undefined): ListedEntry {
  const { mode, uid, gid, xattrs } = attributes ?? { mode: 0o755, uid: 0, gid: 0, xattrs: new Map() };
  const plain = { mode, uid, gid, xattrs, size: 0, link: "", device: { major: 0, minor: 0 } };
  return { path, type: "directory", mtime: attributes?.mtime ?? mtime, ...plain };
}

function notDirectory(path: string): BuildError {
  return new BuildError("destination", `/${fromBinary(path)}: expected a directory, got another kind of file`);
}
