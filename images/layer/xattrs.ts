import { spawn } from "node:child_process";
import { LayerError } from "./error.ts";

/** Extended attributes of a tree by path; what has none is left out. */
export type TreeXattrs = ReadonlyMap<string, ReadonlyMap<string, Buffer>>;

/**
 * Reads the extended attributes of a whole tree, exactly, in one run of getfattr (package attr), since Node cannot
 * read them. Paths are those of entries; symlinks are not followed.
 */
export async function readXattrs(directory: string): Promise<TreeXattrs> {
  const args = ["--recursive", "--physical", "--no-dereference", "--dump", "--match=-", "--encoding=hex", "--", "."];
  const child = spawn("getfattr", args, { cwd: directory, stdio: ["ignore", "pipe", "pipe"] });
  const dump = createDumpReader();
  let errors = "";
  child.stdout.setEncoding("latin1").on("data", (text: string) => dump.push(text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(0, 2000);
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", (cause) => reject(unreadable(directory, cause.message, cause)));
    child.once("close", resolve);
  });
  if (status !== 0 || errors !== "") throw unreadable(directory, errors.trim() || `getfattr ended with ${status}`);
  return dump.xattrs;
}

/** Reads getfattr's dump as it comes: `# file: path`, then `name=0xhex` lines, then an empty line. */
export function createDumpReader(): { push(text: string): void; xattrs: TreeXattrs } {
  const xattrs = new Map<string, Map<string, Buffer>>();
  let current = new Map<string, Buffer>();
  let rest = "";

  function readLine(line: string): void {
    if (line.startsWith(FILE_LINE)) {
      const path = unquote(line.slice(FILE_LINE.length)).replace(/^\.\/|^\.$/, "");
      current = new Map();
      xattrs.set(path, current);
    } else if (line !== "") {
      const [name = "", value = ""] = line.split("=0x");
      current.set(unquote(name), Buffer.from(value, "hex"));
    }
  }

  return {
    xattrs,
    push(text) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      lines.forEach(readLine);
    },
  };
}

const FILE_LINE = "# file: ";

/** getfattr writes a backslash, a line break and a few others as three octal digits. */
function unquote(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function unreadable(directory: string, message: string, cause?: unknown): LayerError {
  return new LayerError("xattr-unreadable", `${directory}: expected its extended attributes, got ${message}`, {
    cause,
    hint: "./run setup installs what ostler needs (package attr)",
  });
}
