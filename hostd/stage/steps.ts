import { syncFilesystem } from "../../effects/durable.ts";
import { hasErrno } from "../../effects/errno.ts";
import { endedBy } from "../../effects/source.ts";
import { bootOf } from "../../manifests/boot.ts";
import { type Digest, hexOf } from "../../manifests/digest.ts";
import { toFailureDocument } from "../../manifests/failure.ts";
import type { Descriptor } from "../../manifests/image.ts";
import { bytes } from "../../terminal/table.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { missingParts, refuseHost, refuseWithoutRoomOnEsp, removeDamagedParts, takeParts } from "../host/staging.ts";
import type { Context } from "../operations/context.ts";
import { parsePlan } from "../operations/plan.ts";
import { prune, removeUnwantedParts } from "../retention/prune.ts";
import { mountSlot } from "../switch/launch.ts";
import { fetchBlob, fetchPart, layBlob, partsOf, removePart } from "./bring.ts";
import { type Found, identify, type Known, refuseRelease } from "./identify.ts";
import { bytesToFetch, layersOf, missingOf } from "./missing.ts";
import { createPace, type Pace } from "./pace.ts";
import { knownReturning } from "./returning.ts";
import { refuseWithoutRoom, roomFor } from "./room.ts";

// The steps of staging, in order. None of them changes what runs; each may be repeated after a crash.

export async function trust(context: Context): Promise<string> {
  const { engine, app } = context;
  const channel = context.plan.stage?.channel ?? engine.settings.channel;
  const release = await wantedOf(context, channel);
  const source = endedBy(context.signal, engine.source);
  const found = await identify({ source, stateDirectory: engine.stateDirectory }, app, release);
  refuseHost(engine, app, found);
  context.savePlan({ stage: { ...context.plan.stage, channel, found } });
  return `${found.version}, sequence ${found.sequence}`;
}

/** What the channel releases, or a version that ran here and is to come back. */
async function wantedOf({ engine, app, plan, signal }: Context, channel: string): Promise<Known> {
  const image = plan.stage?.image;
  if (image !== undefined) return await knownReturning(engine, { app, channel, image }, signal);
  const floor = engine.journal.apps.get(app)?.floor ?? 0;
  const release = await engine.examine({ app, channel, floor }, signal);
  refuseRelease(engine, app, release);
  return release;
}

export async function space(context: Context): Promise<string> {
  const { engine } = context;
  const { reserve } = engine.settings;
  const isReturning = context.plan.stage?.image !== undefined; // it takes the place of none that came later
  await prune(engine, context.id, context.app, isReturning ? {} : { coming: foundOf(context).image });
  await removeDamagedParts(engine, foundOf(context));
  const missing = await missingLayers(context);
  const needed = await roomToBring(engine, stagingOf(context));
  const esp = await refuseWithoutRoomOnEsp(engine, context.app, foundOf(context));
  const freeNow = async () => (await engine.node.freeBytes()) - (await promisedToOthers(context));
  if (needed + reserve > (await freeNow())) await removeUnwantedParts(engine);
  const free = await freeNow();
  if (needed > 0) refuseWithoutRoom({ needed, free, reserve, directory: engine.stateDirectory });
  const onEsp = esp === undefined ? "" : `; ${esp}`;
  return `${count(missing.length)} missing, ${bytes(needed)} needed, ${bytes(free)} free${onEsp}`;
}

export function fetch(context: Context): Promise<string> {
  return inTurn(context, () => fetchMissing(context));
}

export function lay(context: Context): Promise<string> {
  return inTurn(context, () => layMissing(context));
}

function inTurn<T>(context: Context, work: () => Promise<T>): Promise<T> {
  const onWait = (before: number) => context.report(`waiting: ${before} other stagings come first`);
  return context.engine.turns.take(work, context.signal, onWait);
}

async function fetchMissing(context: Context): Promise<string> {
  const missing = await missingLayers(context);
  const parts = await missingParts(context.engine, foundOf(context));
  const total = sizeOf([...missing, ...parts]);
  const rate = rateOf(context);
  let before = 0;
  const onBytes = (received: number) =>
    context.report(`fetch ${bytes(before + received)} of ${bytes(total)}`, (before + received) / total);
  for (const layer of missing) {
    await fetchBlob(context.engine, { layer, rate, onBytes, ...waitingIn(context) });
    before += layer.size;
  }
  for (const part of parts) {
    await fetchPart(context.engine, { layer: part, rate, onBytes, ...waitingIn(context) });
    before += part.size;
  }
  return bytes(total);
}

async function layMissing(context: Context): Promise<string> {
  const missing = await missingLayers(context);
  const total = sizeOf(missing);
  const rate = rateOf(context);
  let before = 0;
  for (const [index, layer] of missing.entries()) {
    context.signal.throwIfAborted();
    const onBytes = (read: number) =>
      context.report(`lay down layer ${index + 1} of ${missing.length}`, (before + read) / total);
    onBytes(0);
    await layBlob(context.engine, { layer, rate, onBytes, ...waitingIn(context) });
    before += layer.size;
  }
  await takeFetched(context);
  // a kill between laying a layer down and forgetting its blob leaves that
  for (const layer of layersOf(foundOf(context))) await removePart(context.engine, hexOf(layer.digest));
  return count(missing.length);
}

/** A power cut may have taken parts of a UKI that were fetched, or bytes of them: then these are fetched once more. */
async function takeFetched(context: Context): Promise<void> {
  const { engine } = context;
  const take = () => takeParts(engine, foundOf(context), partsOf(engine));
  await take().catch(async (error: unknown) => {
    const isLost = hasErrno(error, "ENOENT") || (error instanceof HostdError && error.code === "blob-digest");
    if (!isLost) throw error;
    await fetchMissing(context);
    await take();
  });
}

function rateOf({ plan, engine }: Context): Pace | undefined {
  return plan.stage?.rate === undefined ? undefined : createPace(plan.stage.rate, engine.clock);
}

function waitingIn({ signal, report }: Context) {
  return { signal, onWait: () => report("waiting: another staging brings the same layer") };
}

export async function sync(context: Context): Promise<void> {
  await syncFilesystem(context.engine.stateDirectory);
}

export async function record(context: Context): Promise<void> {
  const { journal } = context.engine;
  const found = foundOf(context);
  const channel = context.plan.stage?.channel ?? context.engine.settings.channel;
  journal.transaction(() => {
    journal.slots.stage(context.id, { app: context.app, channel, ...found });
    if (context.plan.stage?.image === undefined) journal.apps.accept(context.id, context.app, found);
  });
  await mountAhead(context, found.image);
}

/** So that the switch has nothing to mount. What hinders it now may be gone then; the switch has the last word. A host's is mounted by its boot. */
async function mountAhead(context: Context, image: Digest): Promise<void> {
  if (bootOf(context.engine.journal.slots.require(context.app, image).manifest) !== undefined) return;
  try {
    await mountSlot(context.engine, context.app, image);
  } catch (error) {
    context.note(`not mounted yet: ${toFailureDocument(error).message}`);
  }
}

/** Bytes that other stagings under way may still write: what is free now is not free for this one. */
async function promisedToOthers({ engine, id }: Context): Promise<number> {
  let promised = 0;
  for (const other of engine.journal.operations.unfinished()) {
    const { found, rate } = (other.id === id ? undefined : parsePlan(other.plan, other.id).stage) ?? {};
    if (found !== undefined) promised += await roomToBring(engine, { found, rate });
  }
  return promised;
}

interface Staging {
  found: Found;
  rate?: number | undefined;
}

/** Most bytes that a staging still writes: a blob and what it is laid down as stand side by side for a moment. */
async function roomToBring(engine: Engine, { found, rate: limit }: Staging): Promise<number> {
  const rate = limit === undefined ? undefined : createPace(limit, engine.clock);
  return roomFor(await missingOf(engine, found)) + (await bytesToFetch(engine, found, rate));
}

function missingLayers(context: Context): Promise<Descriptor[]> {
  return missingOf(context.engine, foundOf(context));
}

function stagingOf(context: Context): Staging {
  return { found: foundOf(context), rate: context.plan.stage?.rate };
}

function foundOf(context: Context): Found {
  const found = context.plan.stage?.found;
  if (found !== undefined) return found;
  throw new HostdError("journal", `operation ${context.id}: expected a verified release in its plan, got none`);
}

function sizeOf(blobs: readonly { size: number }[]): number {
  return blobs.reduce((sum, { size }) => sum + size, 0);
}

function count(layers: number): string {
  return layers === 1 ? "1 layer" : `${layers} layers`;
}
