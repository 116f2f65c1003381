import { rm, truncate, writeFile } from "node:fs/promises";
import { run } from "../../effects/process.ts";

const MiB = 1024 * 1024;

/** A partition of a rival's disk, in the order of the disk; MiB. `from` is a file with what it holds. */
export interface Part {
  name: string;
  type: "ef00" | "8300";
  size: number;
  from?: string;
}

/** Puts file systems made elsewhere into a partitioned disk file. */
export async function assembleDisk(file: string, parts: readonly Part[]): Promise<void> {
  const total = parts.reduce((sum, { size }) => sum + size, 2);
  await rm(file, { force: true });
  await writeFile(file, "");
  await truncate(file, total * MiB);
  const table = parts.flatMap(({ name, type, size }, index) => [
    `--new=${index + 1}:0:+${size}M`,
    `--typecode=${index + 1}:${type}`,
    `--change-name=${index + 1}:${name}`,
  ]);
  await run(["sgdisk", ...table, file]);
  let start = 1;
  for (const { size, from } of parts) {
    const to = [`of=${file}`, "bs=1M", `seek=${start}`, "conv=notrunc,sparse", "status=none"];
    if (from !== undefined) await run(["dd", `if=${from}`, ...to]);
    start += size;
  }
}

/** An ext4 of `size` MiB with what a directory holds. */
export async function makeExt4(file: string, label: string, size: number, directory?: string): Promise<void> {
  await blank(file, size);
  const content = directory === undefined ? [] : ["-d", directory];
  await run(["mkfs.ext4", "-q", "-F", "-L", label, ...content, file]);
}

/** A vfat of `size` MiB with copies of files: name on it -> file. */
export async function makeVfat(file: string, size: number, files: Readonly<Record<string, string>>): Promise<void> {
  await blank(file, size);
  await run(["mkfs.vfat", "-F", "32", file]);
  for (const [name, from] of Object.entries(files)) {
    const folders = name.split("/").slice(0, -1);
    for (const index of folders.keys()) {
      const folder = folders.slice(0, index + 1).join("/");
      const there = await run(["mdir", "-b", "-i", file, `::${folder}`]).then(
        () => true,
        () => false,
      );
      if (!there) await run(["mmd", "-i", file, `::${folder}`]);
    }
    await run(["mcopy", "-i", file, from, `::${name}`]);
  }
}

/** MiB that an ext4 needs for a directory, with some room. */
export async function roomFor(directory: string, spare: number): Promise<number> {
  const { stdout } = await run(["du", "-sx", "--block-size=1M", directory]);
  return Math.ceil(Number(stdout.split("\t")[0]) * 1.1) + spare;
}

async function blank(file: string, size: number): Promise<void> {
  await rm(file, { force: true });
  await writeFile(file, "");
  await truncate(file, size * MiB);
}
