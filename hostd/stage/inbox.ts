import { rm } from "node:fs/promises";
import { sep } from "node:path";
import type { Digest } from "../../manifests/digest.ts";
import { Failure } from "../../manifests/failure.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { blobPath } from "./blob.ts";

// A node that is pushed to reads a directory below its own state as its repository. Nobody but hostd looks after it.

type Inbox = Pick<Engine, "source" | "stateDirectory">;

/** Where a file of the node's own inbox lies; undefined where its repository is somebody else's. */
export function inInbox({ source, stateDirectory }: Inbox, path: string): string | undefined {
  const file = source.fileOf(path);
  return file?.startsWith(stateDirectory + sep) ? file : undefined;
}

/**
 * Takes a blob of the inbox that is not what its name says away: who pushes sends what is not there, and would never
 * send it again. Throws what was found out, with what to do next.
 */
export async function dropDamaged(inbox: Inbox, digest: Digest, error: unknown): Promise<never> {
  const file = inInbox(inbox, blobPath(digest));
  if (file === undefined || !(error instanceof Failure)) throw error;
  if (error.code === "blob-missing") {
    throw new HostdError("blob-missing", error.message, {
      cause: error,
      hint: "push it: ostler push sends what the channel releases, with --image DIGEST a version that was released before",
    });
  }
  if (error.code !== "blob-digest") throw error;
  await rm(file, { force: true });
  throw new HostdError("blob-digest", `${error.message}; it was removed`, {
    cause: error,
    hint: "push again: ostler push sends what is missing",
  });
}
