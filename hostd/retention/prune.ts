import type { Digest } from "../../manifests/digest.ts";
import { parseManifest, verityOf } from "../../manifests/image.ts";
import type { Engine } from "../engine.ts";
import { parsePlan } from "../operations/plan.ts";
import { rollbackTarget } from "../rollback/plan.ts";
import { situationOf } from "../switch/situation.ts";
import { chooseCollected, chooseForgotten } from "./choose.ts";

/**
 * Makes room before anything is written, also for the version that is coming: collects slots beyond retention, layers
 * that no slot of any app needs, and the oldest snapshots that hostd took by itself.
 */
export async function prune(engine: Engine, operation: number, app: string, coming: Digest | undefined): Promise<void> {
  const { journal, node } = engine;
  const isNew = coming !== undefined && journal.slots.get(app, coming) === undefined;
  const situation = situationOf(engine, app);
  const previous = journal.apps.get(app)?.previous;
  const collected = chooseCollected({
    slots: journal.slots.list(app).map(({ image, state, pinned }) => ({ image, state, pinned: pinned !== undefined })),
    inUse: [
      situation.current?.image,
      previous === undefined ? undefined : journal.generations.get(app, previous)?.image,
      rollbackTarget(situation)?.image,
    ],
    keep: isNew ? engine.settings.keep - 1 : engine.settings.keep,
  });
  for (const image of collected) {
    await node.unmountSlot(app, image);
    journal.slots.move(operation, app, image, "collect");
    await removeGenerations(engine, app, image);
  }
  await removeUnusedLayers(engine);
  await forgetSnapshots(engine, operation, app);
}

/** Removes layer files that belong to no slot; called before writing, and at start for what a crash left. */
export async function removeUnusedLayers(engine: Engine): Promise<string[]> {
  const { journal, node } = engine;
  const apps = new Set(journal.apps.list().map(({ app }) => app));
  const needed = new Set(
    [...apps].flatMap((app) =>
      journal.slots.list(app).flatMap((slot) => slot.manifest.layers.map((layer) => verityOf(layer).root)),
    ),
  );
  for (const root of layersBeingStaged(engine)) needed.add(root);
  const unused = (await node.layers()).filter((root) => !needed.has(root));
  for (const root of unused) await node.removeLayer(root);
  return unused;
}

function layersBeingStaged(engine: Engine): string[] {
  return engine.journal.operations.unfinished().flatMap((operation) => {
    const found = parsePlan(operation.plan, operation.id).stage?.found;
    if (found === undefined) return [];
    return parseManifest(Buffer.from(found.manifest)).layers.map((layer) => verityOf(layer).root);
  });
}

async function forgetSnapshots(engine: Engine, operation: number, app: string): Promise<void> {
  const forgotten = chooseForgotten(engine.journal.snapshots.list(app), engine.settings.keep);
  for (const { id } of forgotten) {
    await engine.node.forget(app, id);
    engine.journal.snapshots.remove(operation, app, id);
  }
}

async function removeGenerations(engine: Engine, app: string, image: string): Promise<void> {
  const gone = engine.journal.generations.list(app).filter((generation) => generation.image === image);
  for (const { number } of gone) await engine.node.removeGeneration(app, number);
}
