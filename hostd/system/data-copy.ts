import { mkdir, opendir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { syncTree } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import { ProcessError, run } from "../../effects/process.ts";
import type { DirectoryMaker } from "./data-directories.ts";
import { NodeError } from "./failure.ts";

/** File systems whose files never share blocks (statfs f_type): ext4, tmpfs, overlay. On others `cp` may share them. */
const NEVER_SHARING: ReadonlySet<number> = new Set([0xef53, 0x01021994, 0x794c7630]);

/** Characters of a long path that are enough to find it. */
const SHOWN = 200;

/** Bytes of a path that a copy of it surely may have too: PATH_MAX, less what the name of the copy may add. */
const LONGEST_PATH = 4096 - 256;

/** Entries of a directory that are read at a time. */
const ENTRIES = 256;

/** Data as plain directories: a copy is `cp`, by reference where the file system can (XFS, bcachefs). */
export const copyDirectories: DirectoryMaker = {
  name: "copy",
  async create(directory) {
    await mkdir(directory);
  },
  /** Nothing but hostd writes a snapshot, and hostd never does: read-only needs no enforcing that root would heed. */
  async copy(from, to) {
    await run(["cp", "--archive", "--reflink=auto", "--no-target-directory", from, to]);
    await syncTree(to);
  },
  seal: syncTree,
  nested: async () => [],
  /** By the program, which goes into paths of any length. */
  async remove(directory) {
    await run(["rm", "--recursive", "--force", "--one-file-system", directory]);
  },
  async createdAt(directory) {
    return (await stat(directory)).birthtime;
  },
  async size(directory) {
    const bytes = await bytesOf(directory);
    return (await neverShares(directory)) ? { bytes, exclusive: bytes } : { bytes };
  },
  async costOfCopy(directory, spare) {
    await refuseLongPaths(directory);
    if (await anyFits(directory, spare)) return 0;
    return (await neverShares(directory)) ? await bytesOf(directory) : 0;
  },
};

/** An app may write meanwhile: a directory that goes holds nothing. */
async function refuseLongPaths(directory: string): Promise<void> {
  for await (const entry of (await unlessMissing(opendir(directory, { bufferSize: ENTRIES }))) ?? []) {
    const path = join(directory, entry.name);
    if (Buffer.byteLength(path) > LONGEST_PATH) throw tooLong(path);
    if (entry.isDirectory()) await refuseLongPaths(path);
  }
}

function tooLong(path: string): NodeError {
  const message = `${path.slice(0, SHOWN)}...: expected paths of at most ${LONGEST_PATH} bytes in the data, found a longer one`;
  return new NodeError("path-too-long", message, {
    hint: "no copy could hold it: have the app keep its files less deep, or remove them with rm -r",
  });
}

/** Nothing on a file system is larger than all that is in it. */
async function anyFits(directory: string, spare: number): Promise<boolean> {
  const { blocks, bfree, bavail, bsize } = await statfs(directory);
  return (blocks - bfree) * bsize + spare <= bavail * bsize;
}

async function neverShares(directory: string): Promise<boolean> {
  return NEVER_SHARING.has((await statfs(directory)).type);
}

/** An app may write meanwhile: a file that goes counts nothing. */
async function bytesOf(directory: string): Promise<number> {
  const said = { stdout: "", stderr: "" };
  try {
    await run(["du", "--summarize", "--block-size=1", directory], {
      env: { ...process.env, LC_ALL: "C" },
      onOutput(text, from) {
        said[from] += text;
      },
    });
  } catch (error) {
    if (!(error instanceof ProcessError) || said.stdout === "" || !isOfGoneFiles(said.stderr)) throw error;
  }
  return Number(said.stdout.split("\t")[0]);
}

/** Whether that is all that du, which counts the others and ends with 1, complains of. */
function isOfGoneFiles(complaints: string): boolean {
  return complaints
    .trimEnd()
    .split("\n")
    .every((line) => line.endsWith(": No such file or directory"));
}
