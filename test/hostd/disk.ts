import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "../../effects/process.ts";
import { unmount } from "../../hostd/system/mount.ts";

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
  /** What was not made durable never reaches the disk; an ext4 answers every later call with EIO. */
  cutPower(): void;
  /** The device loses all its blocks: every read that is not cached, and every write, is an I/O error (ext4). */
  breakDown(): void;
  /**
   * Mounts, checked, what the disk holds: all that was durable. It goes on as a copy, since sandboxes of others that
   * began meanwhile may keep the failed one busy.
   */
  repair(): Promise<void>;
}

export async function makeDisk(kind: DiskKind, place: string, directory: string): Promise<Disk> {
  let current = join(place, "disk-0.img");
  let copies = 0;
  const frozen = join(place, "frozen.img");
  await run(["truncate", `--size=${SIZE}`, current]);
  await run(kind === "ext4" ? ["mkfs.ext4", "-q", "-m", "0", current] : ["mkfs.btrfs", "--quiet", "--mixed", current]);
  mkdirSync(directory);
  const mount = () =>
    run(["mount", "-o", kind === "ext4" ? "loop,errors=remount-ro" : "loop,noatime", current, directory]);
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
      writeFileSync(`/sys/fs/ext4/${basename(sourceOf(directory))}/trigger_fs_error`, "injected by a test");
    },
    cutPower() {
      if (kind === "ext4") execFileSync("perl", ["-e", CUT, directory]);
      else execFileSync("cp", ["--sparse=always", current, frozen]);
    },
    breakDown() {
      execFileSync("cp", ["--sparse=always", current, frozen]);
      execFileSync("truncate", ["--size=4096", current]);
      execFileSync("losetup", ["--set-capacity", sourceOf(directory)]);
    },
    async repair() {
      await unmount(directory, { lazy: true });
      const failed = current;
      current = join(place, `disk-${++copies}.img`);
      execFileSync("cp", ["--sparse=always", existsSync(frozen) ? frozen : failed, current]);
      for (const image of [frozen, failed]) rmSync(image, { force: true });
      if (kind === "ext4") {
        execFileSync("sh", ["-c", 'fsck.ext4 -p "$0" >&2 || [ $? -le 1 ]', current], { stdio: "pipe" });
      }
      await mount();
    },
  };
}

function sourceOf(directory: string): string {
  return execFileSync("findmnt", ["--noheadings", "--output", "SOURCE", directory]).toString().trim();
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
