import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";

/** A directory of one's own below `parent` for as long as `use` runs; always removed. */
export async function withTemporaryDirectory<T>(parent: string, use: (directory: string) => Promise<T>): Promise<T> {
  await mkdir(parent, { recursive: true });
  const directory = await mkdtemp(join(parent, "tmp-"));
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
