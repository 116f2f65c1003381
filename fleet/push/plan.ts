import { dirname } from "node:path";
import type { RepositoryFile } from "./contents.ts";

// What is sent and how, as values: which files, and the batch of sftp(1) that sends them.

/** What a node is known to have: paths relative to the repository on it, and to its state directory. */
export interface Present {
  repository: ReadonlySet<string>;
  state: ReadonlySet<string>;
}

/** Ends the name of a file that is still arriving. */
const PART = ".part";

/** The files that a node lacks, in order. */
export function missingFiles(files: readonly RepositoryFile[], present: Present): RepositoryFile[] {
  return files.filter(({ path, immutable, laidDown }) => {
    if (!immutable) return true;
    return !present.repository.has(path) && !(laidDown !== undefined && present.state.has(laidDown));
  });
}

/** Directories that have to be there before the files, outermost first, the repository itself among them. */
export function directoriesFor(files: readonly RepositoryFile[]): string[] {
  const all = new Set<string>([""]);
  for (const { path } of files) {
    for (let directory = dirname(path); directory !== "."; directory = dirname(directory)) all.add(directory);
  }
  return [...all].sort((one, other) => one.length - other.length);
}

/** Lists directories; one that is missing is no error. */
export function listBatch(directories: readonly string[]): string {
  return lines(directories.map((directory) => `-ls -1 ${quote(directory)}`));
}

/** The names that `listBatch` was answered with; sftp repeats its commands among them. */
export function parseListing(output: string): string[] {
  return output.split("\n").filter((line) => line.startsWith("/"));
}

export function makeDirectoriesBatch(remote: string, directories: readonly string[]): string {
  return lines(directories.map((directory) => `-mkdir ${quote(joinRemote(remote, directory))}`));
}

/** Sends one file under a temporary name, has it on disk, and only then gives it its own; goes on where a transfer was cut. */
export function sendBatch(file: RepositoryFile, local: string, remote: string, present: Present): string {
  const [target, part] = [joinRemote(remote, file.path), joinRemote(remote, file.path + PART)];
  const put = file.immutable && present.repository.has(file.path + PART) ? "reput" : "put";
  return lines([
    `${put} -f ${quote(`${local}/${file.path}`)} ${quote(part)}`,
    `rename ${quote(part)} ${quote(target)}`,
  ]);
}

function joinRemote(remote: string, path: string): string {
  return path === "" ? remote : `${remote}/${path}`;
}

/** sftp(1) splits words as a shell does and knows globs: paths are quoted whole. */
function quote(path: string): string {
  return `"${path.replace(/["\\*?[\]]/g, "\\$&")}"`;
}

function lines(commands: readonly string[]): string {
  return commands.map((command) => `${command}\n`).join("");
}
