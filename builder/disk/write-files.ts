import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { lutimes, mkdir, opendir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Store } from "../../images/store.ts";
import type { BootFile } from "../../manifests/boot.ts";
import { digestFromHex } from "../../manifests/digest.ts";
import { DiskError } from "./error.ts";
import type { DiskFile } from "./files.ts";

/** Writes a partition's files into a directory, which must not be there yet. Returns the names at its top. */
export async function writeFiles(tree: string, files: readonly DiskFile[], store: Store): Promise<string[]> {
  await mkdir(tree, { mode: 0o755 });
  for (const file of files) {
    const path = join(tree, file.path);
    if (file.kind === "directory") {
      await mkdir(path, { mode: file.mode });
      continue;
    }
    await mkdir(dirname(path), { recursive: true });
    if (file.kind === "link") await symlink(file.target, path);
    else if (file.kind === "bytes") await writeFile(path, file.bytes, { mode: file.mode, flag: "wx" });
    else await joinParts(store, file.file, path);
  }
  return [...new Set(files.map(({ path }) => path.split("/")[0] ?? ""))];
}

/** Joins the parts of a boot file. Each is checked against its digest before it is used, and the whole behind it. */
async function joinParts(store: Store, { uki, parts }: BootFile, path: string): Promise<void> {
  const hash = createHash("sha256");
  async function* joined() {
    for (const { digest } of parts) {
      for await (const chunk of store.stream(digest)) {
        hash.update(chunk);
        yield chunk;
      }
    }
  }
  await pipeline(Readable.from(joined()), createWriteStream(path, { flags: "wx", mode: 0o644 }));
  const found = digestFromHex(hash.digest("hex"));
  if (found === uki.digest) return;
  throw new DiskError("uki-mismatch", `${path}: expected ${uki.digest} of its ${parts.length} parts, got ${found}`, {
    hint: "the image's boot document and its parts do not belong together: build it again",
  });
}

/** One time for everything, so that two disks of one image do not differ by when they were made. */
export async function stampTree(tree: string): Promise<void> {
  for await (const entry of await opendir(tree, { recursive: true })) {
    await lutimes(join(entry.parentPath, entry.name), EPOCH, EPOCH);
  }
  await lutimes(tree, EPOCH, EPOCH);
}

/** The first second that FAT can hold as well as any other file system here. */
const EPOCH = new Date("1980-01-02T00:00:00Z");
