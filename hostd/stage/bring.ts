import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { hexOf } from "../../manifests/digest.ts";
import { Failure } from "../../manifests/failure.ts";
import { type Descriptor, verityOf } from "../../manifests/image.ts";
import type { Engine } from "../engine.ts";
import { blobPath, type Fetch, fetchLayer } from "./blob.ts";
import { dropDamaged } from "./inbox.ts";
import type { Pace } from "./pace.ts";

/** A layer that is to come to this node. */
export interface Coming {
  layer: Descriptor;
  /** Bytes per second for this one, below the node's own limit. */
  rate?: Pace | undefined;
  /** Fetches and lays down although the layer is there. */
  replace?: boolean;
  signal: AbortSignal;
  onBytes?: (done: number) => void;
  onWait?: () => void;
}

type Bringer = Pick<Engine, "source" | "clock" | "pace" | "layerTurns" | "stateDirectory"> & {
  node: Pick<Engine["node"], "hasLayer" | "layDownLayer">;
  care: Pick<Engine["care"], "laidDown">;
  settings: Pick<Engine["settings"], "rate">;
};

/**
 * Fetches a layer's blob into parts/. Nothing is to fetch where the repository is a directory of this machine: the blob
 * is verified and read where it is, unless a rate holds.
 */
export async function fetchBlob(engine: Bringer, coming: Coming): Promise<void> {
  if (fileInPlace(engine, coming) !== undefined) return;
  await alone(engine, coming, async () => {
    if (coming.replace || !(await engine.node.hasLayer(verityOf(coming.layer)))) await fetchPart(engine, coming);
  });
}

/**
 * Lays a layer down from its blob, and forgets the blob. A power cut may have taken bytes of a blob that was fetched:
 * then it is fetched once more.
 */
export async function layBlob(engine: Bringer, coming: Coming): Promise<void> {
  const { layer, signal, onBytes, replace = false } = coming;
  const lay = async (blob: string) => {
    await engine.node.layDownLayer({ blob, layer, signal, replace, onBytes });
    engine.care.laidDown(verityOf(layer).root);
  };
  await alone(engine, coming, async () => {
    const inPlace = fileInPlace(engine, coming);
    if (inPlace !== undefined) {
      return await lay(inPlace).catch((error: unknown) => dropDamaged(engine, layer.digest, error));
    }
    try {
      await lay(partOf(engine, layer)).catch(async (error: unknown) => {
        if (!isLost(error)) throw error;
        await lay(await fetchPart(engine, coming));
      });
    } catch (error) {
      if (!signal.aborted) await forgetPart(engine, layer); // else the next start of hostd goes on with it
      throw error;
    }
    await forgetPart(engine, layer);
  });
}

/** Bytes that fetchBlob writes: none of a blob that is read in place, of another what parts/ lacks of it. */
export async function toFetch(engine: Bringer, coming: Pick<Coming, "layer" | "rate">): Promise<number> {
  return fileInPlace(engine, coming) === undefined ? await toFetchPart(engine, coming.layer) : 0;
}

/** Bytes that fetchPart writes. */
export async function toFetchPart(engine: Pick<Bringer, "stateDirectory">, layer: Fetch["layer"]): Promise<number> {
  const there = (await unlessMissing(stat(partOf(engine, layer))))?.size ?? 0;
  return Math.max(0, layer.size - there);
}

/** Fetches a blob into parts/, whatever it is, and answers its path. */
export function fetchPart(
  engine: Bringer,
  { layer, rate, signal, onBytes = ignore }: Pick<Coming, "rate" | "signal" | "onBytes"> & Pick<Fetch, "layer">,
): Promise<string> {
  const pace: Pace = async (bytes) => {
    await rate?.(bytes, signal);
    await engine.pace(bytes, signal);
  };
  const { source, clock } = engine;
  const fetch = { source, layer, parts: partsOf(engine), signal, pace, sleep: clock.sleep, onBytes };
  return fetchLayer(fetch).catch((error: unknown) => dropDamaged(engine, layer.digest, error));
}

/** Deletes a blob that was fetched, by its name in parts/, unless somebody brings it now; answers its path where it went. */
export async function removePart(
  engine: Pick<Bringer, "stateDirectory" | "layerTurns">,
  name: string,
): Promise<string | undefined> {
  const path = join(partsOf(engine), name);
  return await engine.layerTurns(`sha256:${name}`).takeFree(async () => {
    await rm(path, { force: true });
    return path;
  });
}

async function forgetPart(engine: Bringer, layer: Descriptor): Promise<void> {
  await rm(partOf(engine, layer), { force: true });
}

function isLost(error: unknown): boolean {
  return error instanceof Failure && (error.code === "blob-missing" || error.code === "blob-digest");
}

function fileInPlace(
  { source, settings }: Bringer,
  { layer, rate }: Pick<Coming, "layer" | "rate">,
): string | undefined {
  return rate === undefined && settings.rate === undefined ? source.fileOf(blobPath(layer.digest)) : undefined;
}

/** Two stagings may need one layer: the second finds what the first one brought. */
function alone(engine: Bringer, { layer, signal, onWait = ignore }: Coming, work: () => Promise<void>): Promise<void> {
  return engine.layerTurns(layer.digest).take(work, signal, onWait);
}

function partOf(engine: Pick<Bringer, "stateDirectory">, layer: Pick<Descriptor, "digest">): string {
  return join(partsOf(engine), hexOf(layer.digest));
}

export function partsOf({ stateDirectory }: Pick<Bringer, "stateDirectory">): string {
  return join(stateDirectory, "parts");
}

function ignore(): void {}
