import type { DiskLayout } from "./layout.ts";

// The tools' argument lists. None of them needs a loop device or a mount: each writes into a plain file.

const SECTOR = 512;

/** Writes the partition table into a disk file of the right size. */
export function partitionCommand({ guid, partitions }: DiskLayout, file: string): string[] {
  const each = partitions.flatMap(({ number, label, type, guid, start, size }) => [
    `--new=${number}:${start / SECTOR}:${(start + size) / SECTOR - 1}`,
    `--typecode=${number}:${type}`,
    `--change-name=${number}:${label}`,
    `--partition-guid=${number}:${guid}`,
  ]);
  return ["sgdisk", "--clear", `--disk-guid=${guid}`, ...each, file];
}

export function formatEspCommand({ volumeId }: DiskLayout, file: string): string[] {
  return ["mkfs.vfat", "--invariant", "-F", "32", "-n", "ESP", "-i", volumeId, file];
}

/** Copies what a directory holds into the ESP's file, with times; not -b, which fails on FAT32 of this size. */
export function fillEspCommand(file: string, names: readonly string[]): string[] {
  return ["mcopy", "-s", "-Q", "-m", "-i", file, ...names, "::"];
}

/** Makes the data partition's file system from a directory, in one go. */
export function formatDataCommand({ filesystem, filesystemId }: DiskLayout, directory: string, file: string): string[] {
  if (filesystem === "btrfs") {
    return ["mkfs.btrfs", "--quiet", "--label", "ostler-data", "--uuid", filesystemId, "--rootdir", directory, file];
  }
  const options = `hash_seed=${filesystemId},root_owner=0:0`;
  return ["mkfs.ext4", "-q", "-F", "-L", "ostler-data", "-U", filesystemId, "-E", options, "-d", directory, file];
}

export function convertCommand(from: string, to: string): string[] {
  return ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", from, to];
}
