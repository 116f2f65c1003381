import { type Entry, showPath } from "../entry.ts";
import { ErofsError } from "./error.ts";
import { encodeDevice } from "./inode.ts";
import { ENTRY_LIMITS } from "./limits.ts";

/** A symlink's target, of a length that Linux can hold. */
export function targetOf(entry: Entry): string {
  const { length } = entry.link;
  if (length > 0 && length <= ENTRY_LIMITS.symlinkBytes && !entry.link.includes("\0")) return entry.link;
  throw refuse(entry.path, `expected a symlink target of 1 to ${ENTRY_LIMITS.symlinkBytes} bytes, got ${length}`);
}

/** A device's number as the image stores it; 0:0 is refused, since an overlay reads it as a whiteout. */
export function deviceOf(entry: Entry): number {
  const { major, minor } = entry.device;
  if (entry.type === "character" && major === 0 && minor === 0) {
    throw refuse(entry.path, "is a character device 0:0, which an overlay takes for a whiteout: expected a .wh. name");
  }
  if (isWithin(major, ENTRY_LIMITS.major) && isWithin(minor, ENTRY_LIMITS.minor)) return encodeDevice(major, minor);
  throw refuse(entry.path, `expected a device number of at most 4095:1048575, got ${major}:${minor}`);
}

/** Refuses modes, owners, times and sizes that an inode cannot hold as they are. */
export function checkAttributes(entry: Entry): void {
  const { path, mode, uid, gid, mtime, size } = entry;
  if (!isWithin(mode, 0o7777)) throw refuse(path, `expected a mode of at most 07777, got 0${mode.toString(8)}`);
  if (!isWithin(uid, ENTRY_LIMITS.id) || !isWithin(gid, ENTRY_LIMITS.id)) {
    throw refuse(path, `expected owner ids of 32 bits, got ${uid}:${gid}`);
  }
  if (!Number.isSafeInteger(mtime.seconds) || !isWithin(mtime.nanoseconds, ENTRY_LIMITS.nanoseconds)) {
    throw refuse(path, `expected a time in whole seconds and nanoseconds, got ${mtime.seconds}, ${mtime.nanoseconds}`);
  }
  if (!isWithin(size, Number.MAX_SAFE_INTEGER)) throw refuse(path, `expected a size in bytes, got ${size}`);
}

function isWithin(value: number, limit: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= limit;
}

/** One part of a path, as a directory may hold it. */
export function checkName(name: string, path: string): string {
  if (name === "" || name === "." || name === "..") throw refuse(path, `expected no part ${JSON.stringify(name)}`);
  if (name.includes("\0")) throw refuse(path, "expected no zero byte in a name");
  if (name.length <= ENTRY_LIMITS.nameBytes) return name;
  throw refuse(path, `expected names of at most ${ENTRY_LIMITS.nameBytes} bytes, got ${name.length}`);
}

/** The refusal of one entry of a layer. */
export function refuse(path: string, why: string): ErofsError {
  return new ErofsError("layer-content", `${showPath(path)}: ${why}`);
}
