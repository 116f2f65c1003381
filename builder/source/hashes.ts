import { createHash } from "node:crypto";
import { type BigIntStats, closeSync, openSync, readFileSync, readSync } from "node:fs";
import { READ_SIZE } from "../../effects/source.ts";
import type { Cache } from "../cache/cache.ts";

// A file whose (device, inode, size, mtime, ctime) are those of a remembered one has its content: the kernel moves ctime
// with every write. Only a file changed so recently that a second write could fall on the same tick is not remembered.
const SETTLED_NS = 2_000_000_000n;

/** SHA-256 (hex) of file contents, remembered between builds. */
export interface FileHashes {
  of(path: string | Buffer, stats: BigIntStats): string;
  /** Keeps what was learned; a no-op when nothing was. */
  save(): Promise<void>;
}

/** Opens the memory of one context. `now` is in milliseconds since 1970. */
export async function openFileHashes(cache: Cache, contextKey: string, now: number): Promise<FileHashes> {
  const known = new Map(Object.entries((await cache.get<Record<string, string>>("hashes", contextKey)) ?? {}));
  const used = new Map<string, string>();
  const horizon = BigInt(now) * 1_000_000n - SETTLED_NS;
  return {
    of(path, stats) {
      const identity = [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(":");
      const hash = known.get(identity) ?? hashFile(path, Number(stats.size));
      if (stats.ctimeNs < horizon && stats.mtimeNs < horizon) used.set(identity, hash);
      return hash;
    },
    async save() {
      const same = used.size === known.size && [...used.keys()].every((identity) => known.has(identity));
      if (!same) await cache.put("hashes", contextKey, Object.fromEntries(used));
    },
  };
}

/** SHA-256 (hex) of a file, in bounded memory. */
export function hashFile(path: string | Buffer, size: number): string {
  const hash = createHash("sha256");
  if (size <= READ_SIZE) return hash.update(readFileSync(path)).digest("hex");
  const descriptor = openSync(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(READ_SIZE);
    for (;;) {
      const read = readSync(descriptor, buffer);
      if (read === 0) return hash.digest("hex");
      hash.update(buffer.subarray(0, read));
    }
  } finally {
    closeSync(descriptor);
  }
}
