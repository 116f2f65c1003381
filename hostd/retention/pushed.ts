import { lstat, readdir, realpath, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { bootBlobs, bootOf } from "../../manifests/boot.ts";
import { unrepaired } from "../../manifests/care.ts";
import { hexOf } from "../../manifests/digest.ts";
import { BLOBS, verityOf } from "../../manifests/image.ts";
import type { Engine } from "../engine.ts";
import { inInbox } from "../stage/inbox.ts";

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

/** Blobs that were old at an earlier look. */
export type Old = ReadonlySet<string>;

/**
 * Blobs that nobody needs: what they hold is laid down, or no version here has them and they are old. A clock that jumps
 * must not cost what is being pushed, so those go only when they were old at the look before this one as well.
 */
export function chooseUnneeded({ blobs, laidDown, named }: Pushed, before: Old): { unneeded: string[]; old: Old } {
  const old = new Set(blobs.filter(({ name, age }) => !named.has(name) && age > WEEK).map(({ name }) => name));
  const names = blobs.map(({ name }) => name);
  return { unneeded: names.filter((name) => laidDown.has(name) || (old.has(name) && before.has(name))), old };
}

/**
 * Deletes what was pushed and is not needed any more; what is being staged may be needed, also where that began a moment
 * ago. `before` are the blobs that were old at the look before this one; answers those that are now.
 */
export async function collectPushed(engine: Engine, before: Old): Promise<{ collected: string[]; old: Old }> {
  const directory = inInbox(engine, BLOBS);
  if (directory === undefined || isStaging(engine)) return { collected: [], old: before };
  const { unneeded, old } = chooseUnneeded(await pushedIn(engine, directory), before);
  const collected: string[] = [];
  for (const name of unneeded) {
    if (isStaging(engine)) break;
    await rm(join(directory, name), { force: true });
    collected.push(name);
  }
  return { collected, old };
}

function isStaging({ journal }: Engine): boolean {
  return journal.operations.unfinished().some(({ plan }) => plan["stage"] !== undefined);
}

async function pushedIn(engine: Engine, directory: string): Promise<Pushed> {
  const { journal, node, care, host, clock } = engine;
  const slots = journal.apps.list().flatMap(({ app }) => journal.slots.list(app));
  const bad = unrepaired(care.lastScrub()).map(({ what }) => what);
  const roots = new Set((await node.layers()).filter((root) => !bad.includes(root)));
  const parts = new Set((await host?.files.parts()) ?? []);
  const layers = slots.flatMap((slot) => slot.manifest.layers);
  const laidDown = [
    ...layers.filter((layer) => roots.has(verityOf(layer).root)).map(({ digest }) => digest),
    ...slots
      .flatMap((slot) => bootOf(slot.manifest) ?? [])
      .flatMap(bootBlobs)
      .flatMap(({ digest }) => (parts.has(digest) ? [digest] : [])),
  ];
  const named = [
    ...layers.map(({ digest }) => digest),
    ...slots.flatMap((slot) => [slot.image, slot.manifest.config.digest]),
  ];
  return {
    blobs: await filesIn(directory, engine.stateDirectory, clock.date()),
    laidDown: new Set(laidDown.map(hexOf)),
    named: new Set(named.map(hexOf)),
  };
}

/** Plain files alone, and none through a link: whoever pushes must not choose what hostd deletes elsewhere. */
async function filesIn(directory: string, stateDirectory: string, now: Date): Promise<Pushed["blobs"]> {
  const real = await unlessMissing(realpath(directory));
  if (real !== join(await realpath(stateDirectory), relative(stateDirectory, directory))) return [];
  const files: { name: string; age: number }[] = [];
  for (const name of await readdir(directory)) {
    const found = await unlessMissing(lstat(join(directory, name)));
    if (found?.isFile()) files.push({ name, age: now.getTime() - found.mtimeMs });
  }
  return files;
}
