import { createHash } from "node:crypto";
import { bytes } from "../../terminal/table.ts";
import { DiskError } from "./error.ts";

export const FILESYSTEMS = ["btrfs", "ext4", "lvm"] as const;
export type Filesystem = (typeof FILESYSTEMS)[number];

/** What a layout is made from; sizes in bytes. */
export interface DiskNeeds {
  /** Of the whole disk. */
  size: number;
  /** Of the ESP; undefined where it is to be planned. */
  espSize: number | undefined;
  filesystem: Filesystem;
  /** One version's UKI. */
  uki: number;
  /** The recovery's UKI; 0 without one. */
  recovery: number;
  /** One version's layers, laid down, and the parts of its UKIs. */
  layers: number;
  /** Whatever makes this disk this one: its identifiers are made from it, so that the same inputs give the same disk. */
  seed: string;
}

export interface Partition {
  number: number;
  /** GPT name: the node finds its partitions by it. */
  label: "ESP" | "ostler-data" | "ostler-lvm";
  /** sgdisk's code of the type. */
  type: "ef00" | "8300" | "8e00";
  guid: string;
  /** Bytes from the start of the disk. */
  start: number;
  size: number;
}

export interface DiskLayout {
  size: number;
  guid: string;
  filesystem: Filesystem;
  /** Identifier of the data partition's file system. */
  filesystemId: string;
  /** Serial number of the ESP's file system, 8 hex digits. */
  volumeId: string;
  partitions: Partition[];
  esp: Partition;
  data: Partition;
  /** How many versions like this one fit on the ESP and on the data partition. */
  room: { esp: number; data: number };
}

const MiB = 1024 * 1024;

/** Versions whose UKIs must fit: those that are kept (3), the one that runs, and one that comes. */
const PLANNED_VERSIONS = 5;

/** A later kernel or initrd may be larger than today's. */
const GROWTH = 1.25;

/** mkfs.vfat needs about 33 MiB for FAT32; firmware differs about anything smaller. */
const SMALLEST_ESP = 256 * MiB;
const ESP_STEP = 64 * MiB;

/** File systems need room of their own beside what lies on them. */
const OVERHEAD = 1.1;
const SMALLEST_DATA = 256 * MiB;

/** The backup partition table at the end of the disk, to the next whole alignment. */
const TAIL = MiB;

/** Plans a disk: GPT, ESP, data partition and, for LVM, one more for the thin pool. Refuses one that holds too little. */
export function planLayout(needs: DiskNeeds): DiskLayout {
  const { size, filesystem, seed, layers } = needs;
  const espSize = needs.espSize ?? planEsp(needs);
  checkRoom(needs, espSize);
  const left = size - MiB - espSize - TAIL;
  const dataSize = filesystem === "lvm" ? alignDown(left / 2) : alignDown(left);
  const room = {
    esp: roomOnEsp(espSize, needs),
    data: Math.floor(dataSize / OVERHEAD / layers),
  };
  const partition = (
    number: number,
    label: Partition["label"],
    type: Partition["type"],
    start: number,
    of: number,
  ) => ({
    number,
    label,
    type,
    guid: guidOf(seed, label),
    start,
    size: of,
  });
  const esp = partition(1, "ESP", "ef00", MiB, espSize);
  const data = partition(2, "ostler-data", "8300", MiB + espSize, dataSize);
  const poolStart = data.start + data.size;
  const pool = partition(3, "ostler-lvm", "8e00", poolStart, alignDown(size - TAIL - poolStart));
  return {
    size,
    guid: guidOf(seed, "disk"),
    filesystem,
    filesystemId: guidOf(seed, "filesystem"),
    volumeId: guidOf(seed, "volume").slice(0, 8),
    partitions: filesystem === "lvm" ? [esp, data, pool] : [esp, data],
    esp,
    data,
    room,
  };
}

/** An identifier made from the seed, in the form of a random UUID (RFC 9562 section 5.4). */
export function guidOf(seed: string, what: string): string {
  const digits = createHash("sha256").update(`${seed}\n${what}\n`).digest("hex");
  const variant = "89ab"[Number.parseInt(digits[16] ?? "0", 16) % 4];
  const [a, b, c, d, e] = [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(13, 16),
    digits.slice(17, 20),
    digits.slice(20, 32),
  ];
  return `${a}-${b}-4${c}-${variant}${d}-${e}`;
}

/** Bytes that a person writes: 10G, 512M, in powers of 1024. */
export function parseSize(flag: string, text: string): number {
  const [, number, unit] = /^(\d{1,6})([MGT])i?B?$/i.exec(text) ?? [];
  const power = { m: 2, g: 3, t: 4 }[unit?.toLowerCase() ?? ""];
  if (number !== undefined && power !== undefined && Number(number) > 0) return Number(number) * 1024 ** power;
  throw new DiskError("bad-size", `${flag}: expected a size such as 512M or 10G, got ${JSON.stringify(text)}`);
}

function planEsp({ uki, recovery }: DiskNeeds): number {
  const wanted = uki * GROWTH * PLANNED_VERSIONS + recovery * GROWTH * 2 + 4 * MiB;
  return Math.max(SMALLEST_ESP, Math.ceil(wanted / ESP_STEP) * ESP_STEP);
}

/** A disk that could not take a second version could never be upgraded. */
function checkRoom({ size, filesystem, uki, recovery, layers }: DiskNeeds, espSize: number): void {
  const ukis = roomOnEsp(espSize, { uki, recovery });
  if (ukis < 2) {
    const message = `ESP of ${bytes(espSize)}: expected room for two UKIs of ${bytes(uki)}, got room for ${ukis}`;
    throw new DiskError("no-room", message, { hint: "give it more with --esp-size, or leave the option out" });
  }
  const data = Math.max(SMALLEST_DATA, Math.ceil((2 * layers * OVERHEAD) / MiB + 1) * MiB);
  const smallest = MiB + espSize + data * (filesystem === "lvm" ? 2 : 1) + TAIL;
  if (size < smallest) {
    const why = `an ESP of ${bytes(espSize)} and two versions of ${bytes(layers)}`;
    throw new DiskError("no-room", `disk: expected at least ${bytes(smallest)} for ${why}, got ${bytes(size)}`, {
      hint: `give it more: --size ${Math.ceil(smallest / 1024 ** 3)}G`,
    });
  }
}

/** Versions whose UKIs fit beside recovery; FAT takes a little for itself. */
function roomOnEsp(espSize: number, { uki, recovery }: { uki: number; recovery: number }): number {
  return Math.max(0, Math.floor((espSize / 1.02 - recovery) / uki));
}

function alignDown(size: number): number {
  return Math.floor(size / MiB) * MiB;
}
