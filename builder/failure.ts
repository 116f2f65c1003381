import { statfs } from "node:fs/promises";
import { hasErrno } from "../effects/errno.ts";
import { ProcessError } from "../effects/process.ts";
import { Failure } from "../manifests/failure.ts";
import { BuildError } from "./error.ts";

const FULL = /no space left on device|ENOSPC|disk quota exceeded/i;

/** Runs a build and turns what the machine itself says (disk full, interrupted, program missing) into its own words. */
export async function explained<T>(home: string, signal: AbortSignal, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    if (signal.aborted) {
      throw new BuildError(
        "interrupted",
        "build interrupted: what was finished stays in the cache, nothing else is left",
        { cause: error },
      );
    }
    if (isDiskFull(error)) throw await diskFull(home, error);
    if (error instanceof ProcessError && error.code === "process-missing") {
      throw new BuildError("program-missing", error.message, { cause: error, hint: error.hint });
    }
    throw error;
  }
}

function isDiskFull(error: unknown): boolean {
  if (hasErrno(error, "ENOSPC", "EDQUOT")) return true;
  if (!(error instanceof Failure)) return false;
  return FULL.test(error.message) || isDiskFull(error.cause);
}

async function diskFull(home: string, cause: unknown): Promise<BuildError> {
  const { bavail, bsize } = await statfs(home);
  const free = Math.floor((bavail * bsize) / (1024 * 1024));
  const message = cause instanceof Error ? cause.message : String(cause);
  return new BuildError("disk-full", `no space left where ${home} lies (${free} MB free): ${message}`, {
    cause,
    hint: "free space there, or choose another place with --home; nothing half done was kept",
  });
}

/** RUN mounts an overlay and trees hold files of many owners: neither works without root. */
export function expectRoot(uid = process.getuid?.()): void {
  if (uid === 0) return;
  throw new BuildError(
    "needs-root",
    "building needs root: RUN mounts an overlay, and the files of an image keep their owners",
    {
      hint: "run it with sudo",
    },
  );
}
