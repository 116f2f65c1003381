import { readdir } from "node:fs/promises";
import { bootBlobs, bootOf } from "../../manifests/boot.ts";
import type { PruneDocument } from "../../manifests/care.ts";
import { type Digest, hexOf } from "../../manifests/digest.ts";
import { toFailureDocument } from "../../manifests/failure.ts";
import { type ImageManifest, parseManifest, verityOf } from "../../manifests/image.ts";
import type { Engine } from "../engine.ts";
import { hostApp, slotOfRoot } from "../host/host.ts";
import { layersOfHost, removeUnusedEntries, removeUnusedHostFiles } from "../host/staging.ts";
import type { SlotRow } from "../journal/slots.ts";
import { parsePlan } from "../operations/plan.ts";
import { rollbackTarget } from "../rollback/plan.ts";
import { partsOf, removePart } from "../stage/bring.ts";
import { situationOf } from "../switch/situation.ts";
import { chooseCollected } from "./choose.ts";

/**
 * Makes room before anything is written, also for the version that is coming: collects slots beyond retention, and
 * layers that no slot of any app needs. Answers the versions that went: one that was pinned, or that a switch chose,
 * while it was unmounted stays.
 */
export async function prune(
  engine: Engine,
  operation: number,
  app: string,
  { coming, keep = engine.settings.keep }: { coming?: Digest; keep?: number },
): Promise<string[]> {
  const { journal, node } = engine;
  const mayGo = () => collectable(engine, app, coming, keep);
  const collected: Digest[] = [];
  for (const image of mayGo()) {
    if (!mayGo().includes(image)) continue;
    await node.unmountSlot(app, image);
    if (!mayGo().includes(image)) continue; // asked in the same moment in which the journal forgets it
    journal.slots.move(operation, app, image, "collect");
    collected.push(image);
    await removeGenerations(engine, app, image);
  }
  await removeUnusedLayers(engine);
  await removeUnusedHostFiles(engine);
  await forgetSecrets(engine);
  return collected;
}

/** Deletes values of secrets that no generation whose version is here could ask for again. */
export async function forgetSecrets({ journal, vault }: Pick<Engine, "journal" | "vault">): Promise<void> {
  await vault.keepOnly(() => {
    const revisions = journal.apps.list().flatMap(({ app }) => journal.generations.revisionsOfSlots(app));
    for (const operation of journal.operations.unfinished()) {
      const version = parsePlan(operation.plan, operation.id).switch?.config;
      if (version !== undefined) revisions.push(journal.generations.config(operation.app, version).revision);
    }
    return [...new Set([journal.config.head(), ...revisions])].flatMap((at) => journal.config.allSecrets(at));
  });
}

/** What pruning every app would take, layers too; changes nothing. */
export async function planPrune(engine: Engine, keep: number): Promise<PruneDocument> {
  const { apps, slots } = engine.journal;
  const all = apps.list().flatMap(({ app }) => slots.list(app));
  const gone = new Set(
    apps.list().flatMap(({ app }) => collectable(engine, app, undefined, keep).map((image) => `${app} ${image}`)),
  );
  const isGone = ({ app, image }: SlotRow) => gone.has(`${app} ${image}`);
  const collected = all.filter(isGone).map(({ app, image, version }) => ({ app, image, version }));
  const kept = all.filter((slot) => !isGone(slot));
  const needed = new Set([...rootsOf(kept), ...layersBeingStaged(engine), ...(await layersOfHost(engine))]);
  return { schema: 1, collected, layers: (await engine.node.layers()).filter((root) => !needed.has(root)) };
}

function rootsOf(slots: readonly SlotRow[]): Set<string> {
  return new Set(slots.flatMap((slot) => slot.manifest.layers.map((layer) => verityOf(layer).root)));
}

function collectable(engine: Engine, app: string, coming: Digest | undefined, keep: number): Digest[] {
  const { journal } = engine;
  const isNew = coming !== undefined && journal.slots.get(app, coming) === undefined;
  const situation = situationOf(engine, app);
  const previous = journal.apps.get(app)?.previous;
  return chooseCollected({
    slots: journal.slots.list(app).map(({ image, state, pinned }) => ({ image, state, pinned: pinned !== undefined })),
    inUse: [
      situation.current?.image,
      previous === undefined ? undefined : journal.generations.get(app, previous)?.image,
      rollbackTarget(situation)?.image,
      ...journal.operations.unfinished(app).flatMap(({ plan, id }) => {
        const { image, switch: change } = parsePlan(plan, id);
        return [image, change?.image];
      }),
      ...(hostApp(engine) === app
        ? [engine.host?.machine.booted, engine.host?.machine.started].map(
            (root) => slotOfRoot(engine, app, root)?.image,
          )
        : []),
    ],
    keep: isNew ? keep - 1 : keep,
  });
}

/**
 * Removes layer files that belong to no slot, and to no version that is being staged when they go; called before writing,
 * and at start for what a crash left.
 */
export async function removeUnusedLayers(engine: Engine): Promise<string[]> {
  const { apps, slots } = engine.journal;
  try {
    await removeUnusedEntries(engine); // first: the loader would start a system that is not there
  } catch (error) {
    engine.log("error", "layers stay: the ESP may have entries for them", { ...toFailureDocument(error) });
    return [];
  }
  const ofHost = await layersOfHost(engine);
  const needed = () =>
    new Set([...ofHost, ...rootsOf(apps.list().flatMap(({ app }) => slots.list(app))), ...layersBeingStaged(engine)]);
  const there = await engine.node.layers();
  const neededNow = needed();
  const removed: string[] = [];
  for (const root of there.filter((one) => !neededNow.has(one))) {
    const isUnused = () => !needed().has(root);
    if (!isUnused()) continue; // it may be mounted by now
    if (await engine.node.removeLayer(root, isUnused)) removed.push(root);
  }
  return removed;
}

/**
 * Removes what was fetched for versions that nobody stages any more, and what nobody brings now; called where room is
 * short, and at start.
 */
export async function removeUnwantedParts(
  engine: Pick<Engine, "journal" | "stateDirectory" | "layerTurns">,
): Promise<string[]> {
  const removed: string[] = [];
  for (const name of await readdir(partsOf(engine))) {
    if (blobsBeingStaged(engine).has(name)) continue;
    const path = await removePart(engine, name);
    if (path !== undefined) removed.push(path);
  }
  return removed;
}

/** By their hex digests. */
function blobsBeingStaged(engine: Pick<Engine, "journal">): Set<string> {
  const blobs = beingStaged(engine).flatMap((manifest) => {
    const boot = bootOf(manifest);
    return [...manifest.layers, ...(boot === undefined ? [] : bootBlobs(boot))];
  });
  return new Set(blobs.map(({ digest }) => hexOf(digest)));
}

function layersBeingStaged(engine: Engine): string[] {
  return beingStaged(engine).flatMap(({ layers }) => layers.map((layer) => verityOf(layer).root));
}

/** Manifests of the versions that operations under way bring. */
function beingStaged(engine: Pick<Engine, "journal">): ImageManifest[] {
  return engine.journal.operations.unfinished().flatMap((operation) => {
    const found = parsePlan(operation.plan, operation.id).stage?.found;
    return found === undefined ? [] : [parseManifest(Buffer.from(found.manifest))];
  });
}

/** Forgets the config and the logs of what a version ran as. */
export async function removeGenerations(engine: Engine, app: string, image: Digest): Promise<void> {
  for (const number of engine.journal.generations.numbersOf(app, image))
    await engine.node.removeGeneration(app, number);
}
