import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { writeDurably } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import type { Digest } from "../../manifests/digest.ts";
import { DocumentError } from "../../manifests/document.ts";
import { type Lock, parseLock } from "../../manifests/lock.ts";
import { BuildError } from "../error.ts";

/** How a build treats the recipe's lock: take and complete it, move it, or hold to it (CI). */
export type LockUse = "keep" | "update" | "locked";

function lockFileOf(recipeFile: string): string {
  return `${recipeFile}.lock`;
}

/** The lock beside a recipe; undefined where there is none yet. With `locked`, a missing one is refused. */
export async function readLock(recipeFile: string, use: LockUse): Promise<Lock | undefined> {
  const bytes = await unlessMissing(readFile(lockFileOf(recipeFile)));
  if (bytes !== undefined) return parseLockFile(bytes, lockFileOf(recipeFile));
  if (use !== "locked") return undefined;
  throw new BuildError(
    "lock-missing",
    `${lockFileOf(recipeFile)}: expected the lock that pins what FROM gives, got no file`,
    {
      hint: `ostler build ${basename(recipeFile)} writes it: commit it beside the recipe`,
    },
  );
}

function parseLockFile(bytes: Uint8Array, file: string): Lock {
  try {
    return parseLock(bytes);
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    throw new BuildError("lock-damaged", `${file}: ${error.message}`, {
      hint: `\`git checkout ${basename(file)}\` brings it back; without it \`ostler build\` pins the bases anew`,
      cause: error,
    });
  }
}

/** Writes the lock when it says something new. `locked` refuses instead. */
export async function writeLock(
  recipeFile: string,
  before: Lock | undefined,
  after: Lock,
  use: LockUse,
): Promise<void> {
  const text = (lock: Lock | undefined) => `${JSON.stringify(lock, undefined, 2)}\n`;
  if (text(before) === text(after)) return;
  if (use === "locked") {
    const missing = Object.keys(after.bases).filter((reference) => before?.bases[reference] === undefined);
    throw new BuildError(
      "base-drift",
      `${lockFileOf(recipeFile)}: expected a digest for ${missing.join(", ") || "no other FROM"}`,
      {
        hint: `ostler build ${basename(recipeFile)} --update`,
      },
    );
  }
  await writeDurably(lockFileOf(recipeFile), text(after));
}

/** Refuses a base that is not the one the lock pins. */
export function expectPinned(reference: string, pinned: Digest | undefined, got: Digest, recipeFile: string): void {
  if (pinned === undefined || pinned === got) return;
  throw new BuildError("base-drift", `FROM ${reference}: expected ${pinned} (${lockFileOf(recipeFile)}), got ${got}`, {
    hint: `what it is made from has changed; to take the new one: ostler build ${basename(recipeFile)} --update`,
    details: { reference, pinned, got },
  });
}
