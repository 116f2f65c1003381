import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { run } from "../../effects/process.ts";

/** Large enough for a few versions of the app under test; a btrfs takes no less. */
const SIZE = "160M";

/** `_IOR('X', 125, __u32)`: the file system is gone at once; flag 2 drops what is not on the disk yet. */
const CUT = `open(my $d, "<", $ARGV[0]) or die $!; my $flag = pack("L", 2); ioctl($d, 0x8004587d, $flag) or die "ioctl: $!"`;

export type DiskKind = "ext4" | "btrfs";

/** A file system of its own in a file, which can fail as disks do. `repair` follows a reboot and brings it back. */
export interface Disk {
  kind: DiskKind;
  directory: string;
  /** Takes every byte that is left; answers what gives them back. */
  fill(): () => void;
  /** An error that turns the mounted file system read-only (ext4). */
  turnReadOnly(): void;
  /** Every later call fails with EIO, and what was not made durable never reached the disk (ext4). */
  cut(): void;
  /** Keeps the disk as it is at this moment, without what was not made durable (btrfs). */
  freeze(): void;
  /** Unmounts what is left, checks and mounts again: what was durable is there. */
  repair(): Promise<void>;
}

export async function makeDisk(kind: DiskKind, place: string, directory: string): Promise<Disk> {
  const image = join(place, "disk.img");
  const frozen = join(place, "frozen.img");
  await run(["truncate", `--size=${SIZE}`, image]);
  await run(kind === "ext4" ? ["mkfs.ext4", "-q", "-m", "0", image] : ["mkfs.btrfs", "--quiet", "--mixed", image]);
  mkdirSync(directory);
  const mount = () =>
    run(["mount", "-o", kind === "ext4" ? "loop,errors=remount-ro" : "loop,noatime", image, directory]);
  await mount();
  return {
    kind,
    directory,
    fill() {
      const path = join(directory, "filler");
      fillUp(path, statfsSync(directory));
      return () => rmSync(path, { force: true });
    },
    turnReadOnly() {
      const source = execFileSync("findmnt", ["--noheadings", "--output", "SOURCE", directory]).toString().trim();
      writeFileSync(`/sys/fs/ext4/${basename(source)}/trigger_fs_error`, "injected by a test");
    },
    cut: () => void execFileSync("perl", ["-e", CUT, directory]),
    freeze: () => void execFileSync("cp", ["--sparse=always", image, frozen]),
    async repair() {
      await unmountWhole(directory, image);
      if (existsSync(frozen)) await rename(frozen, image);
      if (kind === "ext4")
        execFileSync("sh", ["-c", 'fsck.ext4 -p "$0" >&2 || [ $? -le 1 ]', image], { stdio: "pipe" });
      await mount();
    },
  };
}

function fillUp(path: string, { bsize, bavail }: { bsize: number; bavail: number }): void {
  for (const size of [bsize * bavail * 0.98, 1024 * 1024, 4096]) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(Math.ceil(size)), { flag: "a", flush: true });
    } catch {
      // no room for a piece of this size: try smaller ones
    }
  }
}

/** Whoever still had a file open has been killed, but processes and their mounts need a moment to be gone. */
async function unmountWhole(directory: string, image: string): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (isMounted(directory)) spawnSync("umount", [directory]);
    else if (execFileSync("losetup", ["--associated", image]).length === 0) return;
    await delay(25);
  }
  throw new Error(`${directory}: expected to be able to unmount it`);
}

function isMounted(directory: string): boolean {
  return readFileSync("/proc/self/mountinfo", "utf8").includes(` ${directory} `);
}
