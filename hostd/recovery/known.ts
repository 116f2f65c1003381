import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { rootDigestOf, rootListOf } from "../../images/boot/roots.ts";
import { type Boot, bootOf } from "../../manifests/boot.ts";
import { type Digest, shortDigest } from "../../manifests/digest.ts";
import { parseManifest } from "../../manifests/image.ts";
import { HostdError } from "../error.ts";
import type { RecoveryDisk } from "./disk.ts";

/** A host version that this disk was laid down with, or that was good on this node, by its documents. */
export interface KnownVersion {
  boot: Boot;
  list: string;
  /** Why this node took it back, where it did. */
  quarantined: string | undefined;
}

const VERSIONS = `SELECT manifest,
    (SELECT reason FROM quarantine WHERE app = slots.app AND image = slots.image AND lifted_at IS NULL) AS quarantined
  FROM slots WHERE last_good_at IS NOT NULL ORDER BY staged_order`;

/**
 * The versions that this disk knows: what it was laid down with, and what its journal says was good. Documents that cannot
 * be read, or whose layers are not their own root's, and a journal that cannot be read, are told and tell nothing.
 */
export async function knownVersions(disk: RecoveryDisk, log: (line: string) => void): Promise<KnownVersion[]> {
  const seed = await disk.files.seed();
  const rows = askJournal(disk.stateDirectory, VERSIONS, [], log);
  const texts = [...(seed === undefined ? [] : [{ manifest: seed.manifest, quarantined: null }]), ...rows];
  const known = new Map<string, KnownVersion>();
  for (const { manifest: text, quarantined } of texts) {
    const found = readManifest(String(text), log);
    if (found === undefined) continue;
    known.set(found.boot.root, { ...found, quarantined: quarantined === null ? undefined : String(quarantined) });
  }
  return [...known.values()];
}

/** Undefined where it is no host image. */
function readManifest(text: string, log: (line: string) => void): Pick<KnownVersion, "boot" | "list"> | undefined {
  try {
    const manifest = parseManifest(Buffer.from(text));
    const boot = bootOf(manifest);
    if (boot === undefined) return undefined;
    const list = rootListOf(manifest);
    if (rootDigestOf(list) === boot.root) return { boot, list };
    log(`a version of this disk: expected layers of root ${boot.root}, got root ${rootDigestOf(list)}`);
  } catch (error) {
    log(`a version of this disk: ${(error as Error).message}`);
  }
  return undefined;
}

/** Refuses a version that this node took back before: recovery would only lead to where the node came from. */
export function refuseQuarantined(
  stateDirectory: string,
  { product, image }: { product: string; image: Digest },
  log: (line: string) => void,
): void {
  const text = "SELECT reason FROM quarantine WHERE app = ? AND image = ? AND lifted_at IS NULL";
  const [found] = askJournal(stateDirectory, text, [product, image], log);
  if (found === undefined) return;
  throw new HostdError(
    "quarantined",
    `${product} ${shortDigest(image)} is quarantined on this node: ${found["reason"]}`,
    {
      hint: `release a version that ran here: ostler promote DIGEST --to CHANNEL; then push again`,
      details: { app: product, image },
    },
  );
}

/** Rows of the journal that the disk still has; none, and a word about it, where it cannot be read. */
function askJournal(
  stateDirectory: string,
  text: string,
  values: readonly string[],
  log: (line: string) => void,
): Record<string, unknown>[] {
  const file = join(stateDirectory, "hostd.db");
  if (!existsSync(file)) return [];
  try {
    const database = new DatabaseSync(file, { readOnly: true });
    try {
      return database.prepare(text).all(...values);
    } finally {
      database.close();
    }
  } catch (error) {
    log(`${file}: what this node knew is not known: ${(error as Error).message}`);
    return [];
  }
}
