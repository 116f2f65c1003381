import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Digest, shortDigest } from "../../manifests/digest.ts";
import { HostdError } from "../error.ts";

/**
 * Refuses a version that this node took back before, by the journal that its disk still has: recovery would only lead
 * to where the node came from. A journal that cannot be read is told, and refuses nothing.
 */
export function refuseQuarantined(
  stateDirectory: string,
  { product, image }: { product: string; image: Digest },
  log: (line: string) => void,
): void {
  const reason = reasonOf(join(stateDirectory, "hostd.db"), product, image, log);
  if (reason === undefined) return;
  throw new HostdError("quarantined", `${product} ${shortDigest(image)} is quarantined on this node: ${reason}`, {
    hint: `release a version that ran here: ostler promote DIGEST --product ${product} --to CHANNEL; then push again`,
    details: { app: product, image },
  });
}

function reasonOf(file: string, app: string, image: Digest, log: (line: string) => void): string | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const database = new DatabaseSync(file, { readOnly: true });
    try {
      const text = "SELECT reason FROM quarantine WHERE app = ? AND image = ? AND lifted_at IS NULL";
      const row = database.prepare(text).get(app, image);
      return row === undefined ? undefined : String(row["reason"]);
    } finally {
      database.close();
    }
  } catch (error) {
    log(`${file}: what this node quarantined is not known: ${(error as Error).message}`);
    return undefined;
  }
}
