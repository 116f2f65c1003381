/** Text (UTF-8) as the binary string that paths inside trees are: one character per byte. */
export function toBinary(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** The reverse, for messages and for environment values. */
export function fromBinary(binary: string): string {
  return Buffer.from(binary, "latin1").toString("utf8");
}

/** Order of raw bytes, which binary strings keep under `<`. */
export function compareBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Order of paths in a walk of a tree: a directory, then all that is in it, names by their bytes. */
export function comparePaths(a: string, b: string): number {
  return compareBytes(a.replaceAll("/", "\0"), b.replaceAll("/", "\0"));
}

/** `name` below `directory`; the empty string is the root, or the directory itself. */
export function joinPath(directory: string, name: string): string {
  return directory === "" || name === "" ? directory + name : `${directory}/${name}`;
}

/** The directories that a path lies in, innermost first, the root last. */
export function ancestorsOf(path: string): string[] {
  if (path === "") return [];
  const parent = path.slice(0, Math.max(0, path.lastIndexOf("/")));
  return [parent, ...ancestorsOf(parent)];
}
