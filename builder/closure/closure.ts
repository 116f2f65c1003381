import { closeSync, openSync, readSync } from "node:fs";
import { parentOf } from "../../images/entry.ts";
import { BuildError } from "../error.ts";
import { comparePaths, fromBinary } from "../tree/bytes.ts";
import type { ListedEntry } from "../tree/listing.ts";
import { contentOf, type Tree } from "../tree/tree.ts";
import { type Elf, type Readable, readElf } from "./elf.ts";
import { defaultPlaces, ownPlaces, type SearchPlace } from "./search.ts";

/** What files need to be run, besides themselves. */
export interface Closure {
  /** Libraries, loaders, interpreters, the links that lead to them and the directories they are in; sorted. */
  entries: ListedEntry[];
  /** Why each file or link is there, by path. */
  reasons: Map<string, string>;
}

interface Task {
  /** Path as the loader names it, for $ORIGIN and messages. */
  path: string;
  elf: Elf;
  /** DT_RPATH places of the programs above it, which reach down to what they load. */
  inherited: SearchPlace[];
}

/** Loaded by glibc itself on some events; its absence would show only then. */
const LOADED_BY_LIBC = ["libgcc_s.so.1"];
/** Before 2.34 names were looked up by libraries of their own; from then on they are part of libc. */
const LOADED_BY_OLD_LIBC = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];
const SCRIPT_LIMIT = 256;
const PROGRAM_PATH = ["usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin"];

/**
 * Every file that the given ones need to start: the loader, shared libraries to the last one (DT_NEEDED, with RPATH,
 * RUNPATH, $ORIGIN, ld.so.conf and the multiarch directories), interpreters of scripts, and the symbolic links by which
 * they are found. What a program loads by name while it runs (dlopen) is not known: name such files yourself. A library
 * that is missing is an error that says who needs it.
 */
export function closureOf(tree: Tree, roots: readonly ListedEntry[]): Closure {
  const taken = new Map<string, ListedEntry>();
  const reasons = new Map<string, string>();
  const tasks: Task[] = [];

  const take = (path: string, reason: string): string => {
    const trail = tree.trail(path);
    for (const place of trail) {
      const entry = place === trail.at(-1) ? fileAt(tree, place) : tree.at(place);
      if (entry === undefined || taken.has(place)) continue;
      taken.set(place, entry);
      reasons.set(place, reason);
      for (let at = parentOf(place); at !== ""; at = parentOf(at)) addDirectory(tree, at, taken);
    }
    return trail.at(-1) as string;
  };
  const enter = (path: string, reason: string, inherited: SearchPlace[]): void => {
    const before = reasons.size;
    const place = take(path, reason);
    const elf = elfAt(tree, place);
    if (reasons.size > before && elf !== undefined) tasks.push({ path, elf, inherited });
  };

  for (const root of roots) {
    if (root.type !== "file" && root.type !== "hardlink") continue;
    const elf = elfAt(tree, root.path);
    if (elf !== undefined) tasks.push({ path: root.path, elf, inherited: [] });
    const interpreters = elf === undefined ? interpretersOf(tree, root) : [];
    for (const path of interpreters) enter(path, `runs the script /${fromBinary(root.path)}`, []);
  }
  for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
    const user = `/${fromBinary(task.path)}`;
    const rpath =
      task.elf.runpath.length > 0 ? [] : [...ownPlaces(task.elf.rpath, task.path, task.elf), ...task.inherited];
    const places = [
      ...rpath,
      ...ownPlaces(task.elf.runpath, task.path, task.elf),
      ...defaultPlaces(tree, task.elf.machine),
    ];
    if (task.elf.interpreter !== undefined)
      enter(absolute(tree, task.elf.interpreter, user), `loader of ${user}`, rpath);
    for (const name of task.elf.needed) {
      const found = find(tree, name, places, task.elf);
      if (found === undefined) throw missing(name, user, places);
      if (found.cached) take("etc/ld.so.cache", `by which ${name} is found`);
      enter(found.path, `needed by ${user}`, rpath);
      if (name === "libc.so.6") {
        for (const extra of loadedByLibc(tree, found.path)) enter(extra, "loaded by libc.so.6 while it runs", []);
      }
    }
  }
  return { entries: [...taken.values()].sort((a, b) => comparePaths(a.path, b.path)), reasons };
}

function find(
  tree: Tree,
  name: string,
  places: readonly SearchPlace[],
  user: Elf,
): { path: string; cached: boolean } | undefined {
  const candidates = name.includes("/")
    ? [{ path: name.replace(/^\/+/, ""), cached: false }]
    : places.map(({ directory, cached }) => ({ path: `${directory}/${name}`, cached }));
  return candidates.find(({ path }) => elfAt(tree, tree.resolve(path))?.kind === user.kind);
}

function loadedByLibc(tree: Tree, libc: string): string[] {
  const isOld = /libc-2\.(?:[0-9]|[12][0-9]|3[0-3])\.so$/.test(tree.resolve(libc));
  const names = [...LOADED_BY_LIBC, ...(isOld ? LOADED_BY_OLD_LIBC : [])];
  return names
    .map((name) => `${parentOf(libc)}/${name}`)
    .filter((path) => fileAt(tree, tree.resolve(path)) !== undefined);
}

/** What runs a `#!` script: its interpreter, and for `#!/usr/bin/env NAME` also the NAME that the usual PATH has. */
function interpretersOf(tree: Tree, root: ListedEntry): string[] {
  const line = readable(tree, root.path)?.read(0, SCRIPT_LIMIT).toString("latin1") ?? "";
  const [, program, argument] = /^#![ \t]*(\/\S+)(?:[ \t]+(?:-S[ \t]*)?(\S+))?/.exec(line) ?? [];
  if (program === undefined) return [];
  const user = `/${fromBinary(root.path)}`;
  const interpreter = absolute(tree, program, user);
  if (!program.endsWith("/env") || argument === undefined) return [interpreter];
  if (argument.startsWith("/")) return [interpreter, absolute(tree, argument, user)];
  const path = PROGRAM_PATH.map((directory) => `${directory}/${argument}`).find(
    (place) => fileAt(tree, tree.resolve(place)) !== undefined,
  );
  if (path !== undefined) return [interpreter, path];
  const places = PROGRAM_PATH.map((directory) => ({ directory, cached: false }));
  throw missing(argument, user, places);
}

function absolute(tree: Tree, path: string, user: string): string {
  const place = path.replace(/^\/+/, "");
  if (fileAt(tree, tree.resolve(place)) !== undefined) return place;
  throw new BuildError("library-missing", `${user}: expected ${path}, which it starts with, got no file`);
}

function fileAt(tree: Tree, path: string): ListedEntry | undefined {
  const entry = contentOf({ get: (at) => tree.at(at) }, path);
  return entry?.type === "file" ? { ...entry, path } : undefined;
}

function addDirectory(tree: Tree, path: string, taken: Map<string, ListedEntry>): void {
  const entry = tree.at(path);
  if (entry?.type === "directory" && !taken.has(path)) taken.set(path, entry);
}

function elfAt(tree: Tree, path: string): Elf | undefined {
  const file = readable(tree, path);
  try {
    return file === undefined ? undefined : readElf(file);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    throw new BuildError("not-elf", `/${fromBinary(path)}: ${error.message}`, { cause: error });
  }
}

function readable(tree: Tree, path: string): Readable | undefined {
  const entry = fileAt(tree, path);
  const content = entry?.content;
  if (entry === undefined || content === undefined) return undefined;
  if ("bytes" in content) {
    return { size: entry.size, read: (offset, length) => content.bytes.subarray(offset, offset + length) };
  }
  return { size: entry.size, read: (offset, length) => readPart(content.file, offset, length) };
}

function readPart(file: string | Buffer, offset: number, length: number): Buffer {
  const descriptor = openSync(file, "r");
  try {
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, length, offset));
  } finally {
    closeSync(descriptor);
  }
}

function missing(name: string, user: string, places: readonly SearchPlace[]): BuildError {
  const directories = [...new Set(places.map(({ directory }) => `/${fromBinary(directory)}`))];
  return new BuildError("library-missing", `${user}: expected ${name} in ${directories.join(", ")}, got none`, {
    hint: "install the package that has it in BOOTSTRAP",
    details: { library: name, neededBy: user },
  });
}
