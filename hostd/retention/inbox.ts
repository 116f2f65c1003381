import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { bootOf } from "../../manifests/boot.ts";
import { hexOf } from "../../manifests/digest.ts";
import { verityOf } from "../../manifests/image.ts";
import type { Engine } from "../engine.ts";
import { inInbox } from "../stage/inbox.ts";

const BLOBS = "oci/blobs/sha256";

/** Milliseconds that a blob which nothing here names may lie: a push that was cut goes on within that time. */
const WEEK = 7 * 86_400_000;

/** What is known of the blobs of an inbox, names as hex digests. */
export interface Pushed {
  blobs: readonly { name: string; age: number }[];
  /** Layers and parts that are laid down, and sound as far as anybody knows. */
  laidDown: ReadonlySet<string>;
  /** Other blobs that a version on this node has. */
  named: ReadonlySet<string>;
}

/** Blobs that nobody needs: what they hold is laid down, or no version here has them and they are old. */
export function chooseUnneeded({ blobs, laidDown, named }: Pushed): string[] {
  return blobs
    .filter(({ name, age }) => laidDown.has(name) || (!named.has(name) && age > WEEK))
    .map(({ name }) => name);
}

/** Deletes what was pushed and is not needed any more; while something is being staged its blobs may be. */
export async function collectPushed(engine: Engine): Promise<string[]> {
  const { journal, node, care, clock } = engine;
  const directory = inInbox(engine, BLOBS);
  if (directory === undefined) return [];
  if (journal.operations.unfinished().some(({ plan }) => plan["stage"] !== undefined)) return [];
  const slots = journal.apps.list().flatMap(({ app }) => journal.slots.list(app));
  const bad = (care.lastScrub()?.damaged ?? []).filter(({ repaired }) => !repaired).map(({ what }) => what);
  const roots = new Set((await node.layers()).filter((root) => !bad.includes(root)));
  const parts = new Set((await engine.host?.files.parts()) ?? []);
  const layers = slots.flatMap((slot) => slot.manifest.layers);
  const laidDown = [
    ...layers.filter((layer) => roots.has(verityOf(layer).root)).map(({ digest }) => digest),
    ...slots
      .flatMap((slot) => bootOf(slot.manifest)?.parts ?? [])
      .flatMap(({ digest }) => (parts.has(digest) ? [digest] : [])),
  ];
  const named = [
    ...layers.map(({ digest }) => digest),
    ...slots.flatMap((slot) => [slot.image, slot.manifest.config.digest]),
  ];
  const unneeded = chooseUnneeded({
    blobs: await blobsIn(directory, clock.date()),
    laidDown: new Set(laidDown.map(hexOf)),
    named: new Set(named.map(hexOf)),
  });
  for (const name of unneeded) await rm(join(directory, name), { force: true });
  return unneeded;
}

async function blobsIn(directory: string, now: Date): Promise<Pushed["blobs"]> {
  const names = (await unlessMissing(readdir(directory))) ?? [];
  return await Promise.all(
    names.map(async (file) => {
      const { mtimeMs } = (await unlessMissing(stat(join(directory, file)))) ?? { mtimeMs: now.getTime() };
      return { name: file, age: now.getTime() - mtimeMs };
    }),
  );
}
