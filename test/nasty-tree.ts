import { execFileSync } from "node:child_process";
import { lchownSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";

/** Sizes at the edges of the layout: inline or not, one block or more. */
const EDGE_SIZES = [0, 1, 2047, 2048, 2049, 4095, 4096, 4097, 8192];

/**
 * Fills a directory with what breaks careless readers and writers of trees. Needs root, mknod, mkfifo, setfattr, and
 * a file system that keeps large extended attributes (tmpfs does).
 */
export function makeNastyTree(root: string): void {
  const path = (name: string) => Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name, "latin1")]);
  const write = (name: string, content: Buffer | string = name) => writeFileSync(path(name), content);

  for (const name of [
    "0",
    "1",
    "10",
    "9",
    "-1",
    "__proto__",
    "constructor",
    "!x",
    "-x",
    " ",
    "a\nb",
    "\\",
    "\xff\xfe\x80",
  ]) {
    write(name);
  }
  write("n".repeat(255));
  write("\xc3\xa9".repeat(127));
  for (const size of EDGE_SIZES) write(`size-${size}`, Buffer.alloc(size, 65 + (size % 26)));
  write("big", pseudoRandom(20 * 1024 * 1024 + 123));

  mkdirSync(path("many"));
  for (let index = 0; index < 5000; index++) write(`many/${index}`, String(index).repeat(index % 300));
  const deep = Array.from({ length: 60 }, (_, depth) => `${"d".repeat(55)}${depth}`);
  mkdirSync(path(deep.join("/")), { recursive: true });
  write(`${deep.join("/")}/bottom`);
  mkdirSync(path("empty"));

  symlinkSync("size-1", path("link"));
  symlinkSync("/nowhere/\xff".repeat(300), path("long-link"));
  execFileSync("mkfifo", [path("fifo").toString()]);
  for (const [name, type, major, minor] of DEVICES) execFileSync("mknod", [path(name).toString(), type, major, minor]);
  for (const name of ["size-4097", "link", "fifo", "null"]) linkSync(path(name), path(`hard-${name}`));
  linkSync(path("size-1"), path("many/hard"));

  const xattr = (name: string, key: string, value: Buffer) =>
    execFileSync("setfattr", ["-h", "-n", key, "-v", `0x${value.toString("hex")}`, path(name).toString()]);
  write("ping", "binary");
  xattr("ping", "security.capability", Buffer.from("0100000200300080000000000000000000000000", "hex").subarray(0, 20));
  for (const name of ["size-2048", "size-4096", "link", "fifo", "empty", "many"])
    xattr(name, "trusted.note", Buffer.from(name));
  for (let index = 0; index < 11; index++) xattr("size-2047", `trusted.set-${index}`, Buffer.alloc(290, index));
  for (const name of ["size-1", "empty", "size-8192", "link"]) xattr(name, "trusted.large", Buffer.alloc(9000, 0x80));
  xattr("size-0", "trusted.nothing", Buffer.alloc(0));
  xattr("size-0", "security.binary", Buffer.from([0, 10, 61, 255]));

  execFileSync("chmod", ["4755", `${root}/ping`]);
  execFileSync("chmod", ["1777", `${root}/empty`]);
  execFileSync("chmod", ["0000", `${root}/size-1`]);
  for (const name of ["link", "size-2049", "empty"]) lchownSync(path(name), 3_000_000, 4_000_000_000);
  for (const [name, time] of TIMES) execFileSync("touch", ["-h", "-d", `@${time}`, `${root}/${name}`]);
}

const DEVICES = [
  ["null", "c", "1", "3"],
  ["large-device", "b", "259", "300000"],
] as const;

/** Before 1970, to the nanosecond, and after 2038. */
const TIMES = [
  ["size-2048", "-2.25"],
  ["big", "-2000000000.999999999"],
  ["link", "1000000000.123456789"],
  ["fifo", "5000000000.000000001"],
] as const;

/** Bytes that do not compress and are the same every time. */
function pseudoRandom(size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let state = 0x9e3779b9;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}
