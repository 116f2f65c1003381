import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { run } from "../../effects/process.ts";
import type { DirectoryMaker } from "./data-directories.ts";
import type { TreeSize } from "./data-driver.ts";

/** The inode of every btrfs subvolume's root. */
const SUBVOLUME_INODE = 256;

/** Data as btrfs subvolumes: a copy is a snapshot, made at once whatever its size. */
export const btrfsDirectories: DirectoryMaker = {
  name: "btrfs",
  async create(directory) {
    await run(["btrfs", "subvolume", "create", directory]);
  },
  async copy(from, to, { readOnly }) {
    await run(["btrfs", "subvolume", "snapshot", ...(readOnly ? ["-r"] : []), from, to]);
    await run(["btrfs", "filesystem", "sync", to]);
  },
  async seal(directory) {
    await run(["btrfs", "property", "set", "-ts", directory, "ro", "true"]);
    await run(["btrfs", "filesystem", "sync", directory]);
  },
  async nested(directory) {
    if ((await unlessMissing(stat(directory)))?.ino !== SUBVOLUME_INODE) return [];
    const found = parsePaths((await run(["btrfs", "subvolume", "list", "-o", directory])).stdout);
    if (found.length === 0) return [];
    const [own = ""] = (await run(["btrfs", "subvolume", "show", directory])).stdout.split("\n");
    return found.map((path) => join(directory, path.slice(own.length)));
  },
  async remove(directory) {
    const found = await unlessMissing(stat(directory));
    if (found === undefined) return;
    if (found.ino !== SUBVOLUME_INODE) return rm(directory, { recursive: true, force: true });
    await run(["btrfs", "subvolume", "delete", "--commit-after", directory]);
  },
  async createdAt(directory) {
    const { stdout } = await run(["btrfs", "subvolume", "show", directory], { env: { ...process.env, LC_ALL: "C" } });
    return parseCreationTime(stdout);
  },
  async size(directory) {
    const { stdout } = await run(["btrfs", "filesystem", "du", "--summarize", "--raw", directory]);
    return parseUse(stdout);
  },
  costOfCopy: async () => 0,
};

/** The time in `Creation time: 2026-11-21 08:13:00 +0000` of `btrfs subvolume show`; the inode has its source's times. */
export function parseCreationTime(text: string): Date {
  const [, day, time, zone] = /Creation time:\s+(\S+) (\S+) ([+-]\d{4})/.exec(text) ?? [];
  if (zone === undefined) return new Date(0);
  return new Date(`${day}T${time}${zone.slice(0, 3)}:${zone.slice(3)}`);
}

/** Paths, from the root of the file system, in lines `ID 258 gen 10 top level 257 path PATH` of `btrfs subvolume list`. */
function parsePaths(text: string): string[] {
  return [...text.matchAll(/^ID \d+ .*? path (.+)$/gm)].map(([, path = ""]) => path);
}

/** `total exclusive set-shared path` in the last line of `btrfs filesystem du --summarize --raw`. */
export function parseUse(text: string): TreeSize {
  const [, bytes, exclusive] = /^\s*(\d+)\s+(\d+)\s+\S+\s/.exec(text.trimEnd().split("\n").at(-1) ?? "") ?? [];
  if (bytes === undefined) return { bytes: 0 };
  return { bytes: Number(bytes), exclusive: Number(exclusive) };
}
