import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readlink } from "node:fs/promises";

/** Whether two entries are the same but for their times. */
export async function isSame(left: string, right: string): Promise<boolean> {
  const [a, b] = [await lstat(left), await lstat(right)];
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid || a.rdev !== b.rdev) return false;
  if (a.isSymbolicLink()) return (await readlink(left)) === (await readlink(right));
  return !a.isFile() || (a.size === b.size && (await digestOf(left)) === (await digestOf(right)));
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
