import { mkdir, rm, stat } from "node:fs/promises";
import { syncTree } from "../../effects/durable.ts";
import { run } from "../../effects/process.ts";
import type { DataDriver } from "./data.ts";

/** Data as plain directories: a copy is `cp`, by reference where the file system can (XFS, bcachefs). */
export const copyDriver: DataDriver = {
  name: "copy",
  async create(directory) {
    await mkdir(directory);
  },
  /** Nothing but hostd writes a snapshot, and hostd never does: read-only needs no enforcing that root would heed. */
  async copy(from, to) {
    await run(["cp", "--archive", "--reflink=auto", "--no-target-directory", from, to]);
    await syncTree(to);
  },
  async remove(directory) {
    await rm(directory, { recursive: true, force: true });
  },
  async createdAt(directory) {
    return (await stat(directory)).birthtime;
  },
};
