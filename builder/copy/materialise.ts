import {
  chmodSync,
  constants,
  copyFileSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { run } from "../../effects/process.ts";
import { hostPath } from "../../images/entry.ts";
import { BuildError } from "../error.ts";
import { hashFile } from "../source/hashes.ts";
import { fromBinary } from "../tree/bytes.ts";
import type { ListedEntry } from "../tree/listing.ts";
import { writeXattrs } from "./xattrs.ts";

/**
 * Writes entries into an empty directory exactly, whatever the umask, and returns them with their content digests.
 * A file whose content is no longer what was planned is refused: it changed while the build read it.
 */
export async function materialise(entries: readonly ListedEntry[], directory: string): Promise<ListedEntry[]> {
  const written: ListedEntry[] = [];
  for (const entry of entries) written.push(await writeEntry(entry, directory));
  await writeXattrs(written, directory);
  // children change the times of their directory, so times come last
  for (const entry of written) {
    if (entry.type !== "hardlink")
      lutimesSync(hostPath(directory, entry.path), entry.mtime.seconds, entry.mtime.seconds);
  }
  return written;
}

async function writeEntry(entry: ListedEntry, directory: string): Promise<ListedEntry> {
  const path = hostPath(directory, entry.path);
  switch (entry.type) {
    case "directory":
      if (entry.path !== "") mkdirSync(path);
      break;
    case "symlink":
      symlinkSync(Buffer.from(entry.link, "latin1"), path);
      break;
    case "hardlink":
      linkSync(hostPath(directory, entry.link), path);
      return entry;
    case "file":
      return writeOwner(writeContent(entry, path), path);
    case "fifo":
    case "character":
    case "block":
      await makeNode(entry, directory);
      break;
    default:
      entry.type satisfies never;
  }
  return writeOwner(entry, path);
}

/** mknod takes names as text: the node gets its own name, whatever its bytes, by a rename. */
async function makeNode(entry: ListedEntry, directory: string): Promise<void> {
  const temporary = `${directory}/.ostler-node`;
  const { major, minor } = entry.device;
  const device = [entry.type === "block" ? "b" : "c", String(major), String(minor)];
  await run(["mknod", "--", temporary, ...(entry.type === "fifo" ? ["p"] : device)]);
  renameSync(temporary, hostPath(directory, entry.path));
}

/** Owner first: a change of owner clears setuid bits. */
function writeOwner(entry: ListedEntry, path: string | Buffer): ListedEntry {
  lchownSync(path, entry.uid, entry.gid);
  if (entry.type !== "symlink") chmodSync(path, entry.mode);
  return { ...entry, mtime: { seconds: entry.mtime.seconds, nanoseconds: 0 } };
}

function writeContent(entry: ListedEntry, path: string | Buffer): ListedEntry {
  const { content } = entry;
  if (content === undefined) throw new TypeError(`expected content for ${entry.path}`);
  if ("bytes" in content) writeFileSync(path, content.bytes);
  else copyFileSync(content.file, path, constants.COPYFILE_FICLONE);
  const sha256 = hashFile(path, entry.size);
  if (entry.sha256 !== undefined && sha256 !== entry.sha256) {
    const name = fromBinary(entry.path);
    throw new BuildError("source-changed", `/${name}: expected the content read a moment ago, got another`, {
      hint: "a file changed while it was copied: build again",
    });
  }
  return { ...entry, sha256, content: { file: path } };
}
