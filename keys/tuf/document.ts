import { createHash } from "node:crypto";
import { posix } from "node:path";
import type { TargetFile } from "@tufjs/models";
import { TrustError } from "../error.ts";
import type { Fetch } from "./client.ts";

/** Where a target lies in a repository with consistent snapshots (TUF specification 5.7.3). */
export function targetPath(target: TargetFile): string {
  const { dir, base } = posix.parse(target.path);
  return posix.join("targets", dir, `${hashOf(target)}.${base}`);
}

export function hashOf(target: TargetFile): string {
  const hash = target.hashes["sha256"];
  if (hash !== undefined && /^[0-9a-f]{64}$/.test(hash)) return hash;
  throw new TrustError("metadata-shape", `target ${target.path}: expected a SHA-256, got ${JSON.stringify(hash)}`);
}

/**
 * The bytes of a target, from those held by hash or else from the repository, checked against the signed length and
 * hash (TUF specification 5.7). What was fetched is held from then on.
 */
export async function readDocument(documents: Map<string, Buffer>, fetch: Fetch, target: TargetFile): Promise<Buffer> {
  const path = targetPath(target);
  const bytes = documents.get(hashOf(target)) ?? (await fetch(path, target.length));
  if (bytes === undefined) throw new TrustError("metadata-missing", `${path}: expected a file, got none`);
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found !== hashOf(target) || bytes.length !== target.length) {
    throw new TrustError("metadata-hash", `${path}: expected SHA-256 ${hashOf(target)}, got ${found}`, {
      hint: "the file is not the one that was published: publish again, or restore the repository",
      details: { rule: "metadata-hash", path },
    });
  }
  documents.set(found, bytes);
  return bytes;
}
