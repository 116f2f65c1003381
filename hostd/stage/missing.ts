import { type Descriptor, parseManifest, verityOf } from "../../manifests/image.ts";
import type { Engine } from "../engine.ts";
import { missingParts } from "../host/staging.ts";
import { toFetch, toFetchPart } from "./bring.ts";
import type { Found } from "./identify.ts";
import type { Pace } from "./pace.ts";

/** Its layers that are not on this node, each once. */
export async function missingOf(engine: Engine, found: Found): Promise<Descriptor[]> {
  const missing: Descriptor[] = [];
  for (const layer of layersOf(found)) if (!(await engine.node.hasLayer(verityOf(layer)))) missing.push(layer);
  return missing;
}

/** The layers of an image, each once. */
export function layersOf(found: Found): Descriptor[] {
  const { layers } = parseManifest(Buffer.from(found.manifest));
  return [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
}

/** What staging would still fetch of it; nothing of what is read in place. */
export async function bytesToFetch(engine: Engine, found: Found, rate?: Pace): Promise<number> {
  const [layers, parts] = [await missingOf(engine, found), await missingParts(engine, found)];
  const sizes = await Promise.all([
    ...layers.map((layer) => toFetch(engine, { layer, rate })),
    ...parts.map((part) => toFetchPart(engine, part)),
  ]);
  return sizes.reduce((sum, size) => sum + size, 0);
}
