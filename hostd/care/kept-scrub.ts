import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeDurably } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import { type CareDocument, careDocumentSchema } from "../../manifests/care.ts";

/** The last whole pass over the layers, on the disk: a new start of hostd changes nothing of what was found. */
export interface KeptScrub {
  /** As it was when hostd started. */
  last: CareDocument | undefined;
  keep(scrub: CareDocument): Promise<void>;
}

/** A file that cannot be read as one counts as none: the layers are read anew. */
export async function openKeptScrub(stateDirectory: string): Promise<KeptScrub> {
  const file = join(stateDirectory, "scrub.json");
  const text = await unlessMissing(readFile(file, "utf8"));
  return { last: parse(text ?? ""), keep: (scrub) => writeDurably(file, JSON.stringify(scrub)) };
}

function parse(text: string): CareDocument | undefined {
  try {
    return careDocumentSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
