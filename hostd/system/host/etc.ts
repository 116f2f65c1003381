import { mkdir, opendir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { syncDirectory, syncTree } from "../../../effects/durable.ts";
import { unlessMissing } from "../../../effects/errno.ts";
import { run } from "../../../effects/process.ts";

/** A file of /etc that differs from what image and config declare. */
export interface Drift {
  /** Absolute, as the host sees it. */
  path: string;
  how: "changed" | "removed";
}

/** Most differences that are told. */
const MOST_DRIFT = 1_000;

/** /etc of every root: an overlay of `upper` (drift) over `declared` over the image's own (design section 7). */
export interface HostEtc {
  /** Makes declared, upper and work of a root, once; answers whether it did, or they were there. */
  make(root: string, from: string | undefined, rendered: readonly { path: string; bytes: string }[]): Promise<boolean>;
  drift(root: string): Promise<Drift[]>;
  remove(root: string): Promise<void>;
}

export function openHostEtc(stateDirectory: string): HostEtc {
  const host = join(stateDirectory, "host");
  const of = (root: string) => join(host, "etc", root);
  return {
    async make(root, from, rendered) {
      const isThere = (await unlessMissing(stat(of(root)))) !== undefined;
      if (isThere) {
        await declare(join(of(root), "declared"), rendered);
        return false;
      }
      const making = join(host, "etc", `.${root}.making`);
      await rm(making, { recursive: true, force: true });
      await mkdir(join(making, "upper"), { recursive: true });
      await mkdir(join(making, "work"));
      await declare(join(making, "declared"), rendered);
      if (from !== undefined) await copyTree(join(of(from), "upper"), join(making, "upper"));
      await syncTree(making);
      await rename(making, of(root));
      await syncDirectory(join(host, "etc"));
      return true;
    },
    drift: (root) => driftIn(join(of(root), "upper")),
    async remove(root) {
      const gone = join(host, "etc", `.${root}.gone`);
      if ((await unlessMissing(rename(of(root), gone).then(() => true))) === undefined) return;
      await rm(gone, { recursive: true, force: true });
    },
  };

  /** Identity first, then what the image's CONFIG makes of the declared values; made beside and then put in place. */
  async function declare(directory: string, rendered: readonly { path: string; bytes: string }[]): Promise<void> {
    const making = join(dirname(directory), ".declared");
    await rm(making, { recursive: true, force: true });
    await mkdir(making, { recursive: true });
    await copyTree(join(host, "identity/etc"), making);
    for (const { path, bytes } of rendered) {
      const file = join(making, relative("/etc", path));
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, bytes);
    }
    await syncTree(making);
    await rm(directory, { recursive: true, force: true });
    await rename(making, directory);
    await syncDirectory(dirname(directory));
  }
}

/** With owners, times, whiteouts and extended attributes: an upper directory means them all. */
async function copyTree(from: string, to: string): Promise<void> {
  if ((await unlessMissing(stat(from))) === undefined) return;
  await run(["cp", "--archive", "--no-target-directory", from, to]);
}

/** Everything in an upper directory but the directories on the way; a character device 0:0 hides what lies below. */
async function driftIn(upper: string): Promise<Drift[]> {
  const found: Drift[] = [];
  const directory = await unlessMissing(opendir(upper, { recursive: true }));
  if (directory === undefined) return found;
  for await (const entry of directory) {
    if (entry.isDirectory()) continue;
    if (found.length === MOST_DRIFT) break;
    const path = join(entry.parentPath, entry.name);
    const removed = entry.isCharacterDevice();
    found.push({ path: join("/etc", relative(upper, path)), how: removed ? "removed" : "changed" });
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}
