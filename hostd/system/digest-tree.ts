import { createHash } from "node:crypto";
import { type BigIntStats, createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { READ_SIZE } from "../../effects/source.ts";

/** What a tree is, in one number: what its names, kinds, modes, owners, times of change and bytes add up to. */
export interface TreeDigest {
  /** SHA-256 over all entries in the order of their names. */
  value: string;
  files: number;
  bytes: number;
}

const SEPARATOR = Buffer.from("/");
/** Unit of the blocks that a file has on the disk (stat(2)), whatever the file system's own is. */
const BLOCK = 512;

/**
 * Reads a whole tree, names as the bytes they are. Extended attributes and which names share one inode are not in it.
 * `pace` is waited for between pieces, and told what comes from the disk of each: holes cost it nothing.
 */
export async function digestTree(directory: string, pace?: (bytes: number) => Promise<void>): Promise<TreeDigest> {
  const hash = createHash("sha256");
  let [files, bytes] = [0, 0];

  async function visit(path: Buffer, name: Buffer): Promise<void> {
    const stats = await lstat(path, { bigint: true });
    const { mode, uid, gid, mtimeNs, rdev } = stats;
    const content = stats.isFile() ? await contentOf(path, stats) : stats.isSymbolicLink() ? await linkOf(path) : "";
    const fields = [name.toString("hex"), mode, uid, gid, mtimeNs, rdev, content];
    hash.update(`${fields.join(" ")}\n`);
    if (!stats.isDirectory()) return;
    const names = (await readdir(path, { encoding: "buffer" })).sort(Buffer.compare);
    for (const child of names) await visit(Buffer.concat([path, SEPARATOR, child]), child);
    hash.update("end\n");
  }

  async function contentOf(path: Buffer, { size, blocks }: BigIntStats): Promise<string> {
    const content = createHash("sha256");
    const onDisk = Math.min(1, (Number(blocks) * BLOCK) / Number(size));
    for await (const piece of createReadStream(path, { highWaterMark: READ_SIZE })) {
      content.update(piece);
      bytes += piece.length;
      await pace?.(piece.length * onDisk);
    }
    files++;
    return content.digest("hex");
  }

  await visit(Buffer.from(directory), Buffer.alloc(0));
  return { value: hash.digest("hex"), files, bytes };
}

async function linkOf(path: Buffer): Promise<string> {
  return (await readlink(path, { encoding: "buffer" })).toString("hex");
}
