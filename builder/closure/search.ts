import { parentOf } from "../../images/entry.ts";
import { pathPattern } from "../source/pattern.ts";
import { fromBinary } from "../tree/bytes.ts";
import type { Tree } from "../tree/tree.ts";
import type { Elf } from "./elf.ts";

/** Multiarch names by ELF machine number, as Debian's loaders search them without a cache. */
const TRIPLETS: Record<number, string> = {
  3: "i386-linux-gnu",
  21: "powerpc64le-linux-gnu",
  22: "s390x-linux-gnu",
  40: "arm-linux-gnueabihf",
  62: "x86_64-linux-gnu",
  183: "aarch64-linux-gnu",
  243: "riscv64-linux-gnu",
};
const INCLUDE_DEPTH = 8;

/** A directory to look in, and whether the loader knows it only through /etc/ld.so.cache. */
export interface SearchPlace {
  directory: string;
  cached: boolean;
}

/** Directories that the loader of this machine type searches by itself, cache first (ld.so(8)). */
export function defaultPlaces(tree: Tree, machine: number): SearchPlace[] {
  const triplet = TRIPLETS[machine];
  const multiarch = triplet === undefined ? [] : [`lib/${triplet}`, `usr/lib/${triplet}`];
  const builtIn = [...multiarch, "lib64", "usr/lib64", "lib", "usr/lib"].map((directory) => ({
    directory,
    cached: false,
  }));
  const known = new Set(builtIn.map(({ directory }) => tree.resolve(directory)));
  const configured = readConfiguration(tree, "etc/ld.so.conf", 0).filter((path) => !known.has(tree.resolve(path)));
  return [...builtIn, ...configured.map((directory) => ({ directory, cached: true }))];
}

/** DT_RPATH and DT_RUNPATH with $ORIGIN, $LIB and $PLATFORM as the loader replaces them. */
export function ownPlaces(paths: readonly string[], origin: string, elf: Elf): SearchPlace[] {
  const library = elf.kind.startsWith("2:") ? "lib64" : "lib";
  return paths.map((path) => ({
    directory: path
      .replace(/\$(?:ORIGIN\b|\{ORIGIN\})/g, `/${parentOf(origin)}`)
      .replace(/\$(?:LIB\b|\{LIB\})/g, TRIPLETS[elf.machine] === undefined ? library : `lib/${TRIPLETS[elf.machine]}`)
      .replace(/^\/+/, ""),
    cached: false,
  }));
}

/** ld.so.conf: one directory a line, comments, and `include` with a pattern. */
function readConfiguration(tree: Tree, path: string, depth: number): string[] {
  const text = tree.read(path);
  if (text === undefined || depth > INCLUDE_DEPTH) return [];
  return text
    .toString("latin1")
    .split("\n")
    .flatMap((line) => {
      const [word = "", pattern] = line.replace(/#.*/, "").trim().split(/\s+/);
      if (word === "include" && pattern !== undefined) {
        return included(tree, pattern, path).flatMap((file) => readConfiguration(tree, file, depth + 1));
      }
      return word.startsWith("/") ? [word.slice(1)] : [];
    });
}

function included(tree: Tree, pattern: string, from: string): string[] {
  const whole = pattern.startsWith("/") ? pattern.slice(1) : `${parentOf(from)}/${pattern}`;
  const directory = parentOf(whole);
  const wanted = pathPattern(fromBinary(whole).slice(directory.length + 1));
  return tree
    .names(tree.resolve(directory))
    .filter((name) => wanted.test(name))
    .map((name) => `${directory}/${name}`);
}
