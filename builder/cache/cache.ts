import { createHash } from "node:crypto";
import { access, chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory, syncFilesystem, writeDurably } from "../../effects/durable.ts";
import { hasErrno, unlessMissing } from "../../effects/errno.ts";
import { canonicalJson } from "../../manifests/document.ts";
import { decodeListing, encodeListing, type ListedEntry, listingId } from "../tree/listing.ts";
import { syncSmallTree } from "./sync.ts";
import { removeAbandoned, withWorkDirectory } from "./work.ts";

// Layout of the build cache. Invariants:
// - trees/<id>/ is complete and on disk before it has its name: it is made in work/, synced, then renamed.
// - a record (any JSON file) is written after the trees it names, by writeDurably, and only for a finished result.
// - a tree is named by its content and by what it lies on, so two builds that make the same one at once agree: the first rename wins.
// - what a killed build leaves lies in work/<pid>-<start>-.../ and is removed by the next build.

/** One step's result: the upper directory and the list of what is in it. */
export interface CachedTree {
  /** 32 hex digits: the content, and that of the trees below it. One chain never holds one tree twice. */
  id: string;
  directory: string;
}

/** Kinds of record, each a directory of JSON files named by key. */
type RecordKind = "steps" | "bases" | "packs" | "facts" | "reads" | "last" | "hashes";

export interface Cache {
  readonly directory: string;
  /** A directory of one's own on the cache's file system for as long as `use` runs. */
  withWork<T>(use: (directory: string) => Promise<T>): Promise<T>;
  /** Takes over `<work>/root` with its listing as a finished tree on top of the chain that `below` names. */
  keepTree(work: string, entries: readonly ListedEntry[], below: string): Promise<CachedTree>;
  /** A kept tree; undefined where there is none. */
  tree(id: string): Promise<CachedTree | undefined>;
  listing(tree: CachedTree): Promise<ListedEntry[]>;
  /** A record; undefined where there is none, and where it cannot be read: what it says can be found out again. */
  get<T>(kind: RecordKind, key: string): Promise<T | undefined>;
  put(kind: RecordKind, key: string, value: unknown): Promise<void>;
  /** Keeps the newest `count` records of a kind whose loss costs nothing but an explanation. */
  trim(kind: "reads", count: number): Promise<void>;
}

const KINDS: readonly RecordKind[] = ["steps", "bases", "packs", "facts", "reads", "last", "hashes"];
const ID_LENGTH = 32;
/** Up to this many entries are synced one by one; more, by one barrier for the whole file system. */
const SYNC_ONE_BY_ONE = 64;

/** The SHA-256 (hex) of a value's canonical JSON. */
export function keyOf(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex");
}

/** Opens the build cache in `directory`, makes it when it is missing, and removes what killed builds left. */
export async function openCache(directory: string): Promise<Cache> {
  const recordPath = (kind: RecordKind, key: string) => join(directory, kind, `${key}.json`);
  const treePath = (id: string) => join(directory, "trees", id);
  for (const name of ["trees", "work", "mounts", ...KINDS]) await mkdir(join(directory, name), { recursive: true });
  await chmod(directory, 0o700); // trees hold setuid programs
  await removeAbandoned(join(directory, "work"));

  const cache: Cache = {
    directory,
    withWork: (use) => withWorkDirectory(join(directory, "work"), use),
    async keepTree(work, entries, below) {
      // overlayfs refuses one directory in two places of a stack, and steps may well make the same thing twice
      const id = keyOf([below, listingId(entries)]).slice(0, ID_LENGTH);
      await writeFile(join(work, "listing"), encodeListing(entries));
      await (entries.length <= SYNC_ONE_BY_ONE ? syncSmallTree(work, entries) : syncFilesystem(work));
      await moveUnlessThere(work, treePath(id));
      await syncDirectory(join(directory, "trees"));
      return { id, directory: join(treePath(id), "root") };
    },
    async tree(id) {
      const present = await unlessMissing(access(join(treePath(id), "listing")).then(() => true));
      return present === undefined ? undefined : { id, directory: join(treePath(id), "root") };
    },
    async listing(tree) {
      return decodeListing(await readFile(join(treePath(tree.id), "listing"), "utf8"), tree.directory);
    },
    async get<T>(kind: RecordKind, key: string) {
      const text = await unlessMissing(readFile(recordPath(kind, key), "utf8"));
      return text === undefined ? undefined : (parseRecord(text) as T | undefined);
    },
    trim: (kind, count) => keepNewest(join(directory, kind), count),
    put: (kind, key, value) => writeDurably(recordPath(kind, key), `${JSON.stringify(value)}\n`),
  };
  return cache;
}

function parseRecord(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function moveUnlessThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!hasErrno(error, "ENOTEMPTY", "EEXIST")) throw error;
    await rm(from, { recursive: true });
  }
}

async function keepNewest(directory: string, count: number): Promise<void> {
  const names = await readdir(directory);
  if (names.length <= count) return;
  const dated = await Promise.all(
    names.map(async (name) => ({ name, time: (await unlessMissing(stat(join(directory, name))))?.mtimeMs ?? 0 })),
  );
  dated.sort((a, b) => b.time - a.time);
  for (const { name } of dated.slice(count)) await rm(join(directory, name), { force: true });
}
