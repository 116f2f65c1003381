import { entryError } from "./error.ts";
import { TAR_LIMITS } from "./format.ts";

/** An empty, `.` or `..` component, or a NUL. */
const NEEDS_CARE = /(?:^|\/)\.{0,2}(?:\/|$)|\0/;

/** A tar name as an entry path: without `./`, doubled and trailing slashes. Refuses `/x`, `..` and too long names. */
export function normalPath(raw: string): string {
  const path = NEEDS_CARE.test(raw) ? simplify(raw) : raw;
  if (path.length > TAR_LIMITS.pathBytes) {
    throw entryError("tar-path", path, `expected a path of at most ${TAR_LIMITS.pathBytes} bytes, got ${path.length}`);
  }
  if (path.length > TAR_LIMITS.nameBytes && path.split("/").some((name) => name.length > TAR_LIMITS.nameBytes)) {
    throw entryError("tar-path", path, `expected names of at most ${TAR_LIMITS.nameBytes} bytes in a path`);
  }
  return path;
}

/** A symlink's target, which may be anything but empty, too long or cut by a NUL. */
export function checkLink(target: string, path: string): string {
  if (target === "" || target.length > TAR_LIMITS.linkBytes || target.includes("\0")) {
    const limit = TAR_LIMITS.linkBytes;
    throw entryError("tar-path", path, `expected a link target of 1 to ${limit} bytes, got ${target.length}`);
  }
  return target;
}

function simplify(raw: string): string {
  const names = raw.split("/");
  if (names.includes("..")) throw entryError("tar-path", raw, "expected no .. in a path");
  if (raw.startsWith("/")) throw entryError("tar-path", raw, "expected a relative path, got an absolute one");
  if (raw === "" || raw.includes("\0")) throw entryError("tar-path", raw, "expected a path without NUL bytes");
  return names.filter((name) => name !== "" && name !== ".").join("/");
}
