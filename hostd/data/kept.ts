import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { writeDurably } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import { parseDocument } from "../../manifests/document.ts";
import type { Journal } from "../journal/journal.ts";

// What the live data of each app is, on its way past a reset from one journal to the next.

/** Beside the data, in the state directory, until the next hostd has read it. */
export const KEPT_DATA = "data.json";

/** Bytes: some hundred for each of a thousand apps. */
const LIMIT = 1_000_000;

const schema = z.object({
  schema: z.literal(1),
  apps: z.array(z.object({ app: z.string(), format: z.int(), version: z.string().optional() })),
});

/**
 * Writes down the format of each app's data, which the trees do not tell; answers whether it is known. What a reset that
 * was cut short wrote stays: it may have taken away the end of the journal.
 */
export async function keepData(stateDirectory: string, journal: Pick<Journal, "apps"> | undefined): Promise<boolean> {
  const path = join(stateDirectory, KEPT_DATA);
  if ((await unlessMissing(stat(path))) !== undefined) return true;
  if (journal === undefined) return false;
  const apps = journal.apps.list().flatMap(({ app, data_format: format, data_version: version }) => {
    return format === undefined ? [] : [{ app, format, version }];
  });
  await writeDurably(path, `${JSON.stringify({ schema: 1, apps })}\n`);
  return true;
}

/** Takes it into a journal that knows nothing of these apps yet; may be repeated after a crash. */
export async function adoptData(stateDirectory: string, { apps }: Pick<Journal, "apps">): Promise<void> {
  const path = join(stateDirectory, KEPT_DATA);
  const bytes = await unlessMissing(readFile(path));
  if (bytes === undefined) return;
  for (const { app, ...data } of parseDocument(bytes, schema, path, LIMIT).apps) apps.adoptData(app, data);
  await rm(path);
}
