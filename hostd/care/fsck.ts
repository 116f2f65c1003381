import type { CareDocument, Damage } from "../../manifests/care.ts";
import { toFailureDocument } from "../../manifests/failure.ts";
import type { Engine } from "../engine.ts";
import { fetchBlob, layBlob } from "../stage/bring.ts";
import { type Pace, untilClosing } from "../stage/pace.ts";
import { type KnownLayer, knownLayers } from "./layers.ts";

/**
 * Verifies every layer that the journal knows, byte for byte, and the layers on the disk against the journal. With
 * `repair`, only what is bad is fetched again and laid down beside the bad file, which it then replaces: what runs on
 * the old file keeps it until it is started again. The journal decides what should be there; nothing is judged anew.
 * What is bad is told in `damaged` as soon as it is found.
 */
export async function checkLayers(
  engine: Engine,
  options: { repair: boolean; pace?: Pace },
  damaged: Damage[] = [],
): Promise<CareDocument> {
  const at = engine.clock.date().toISOString();
  const read: KnownLayer[] = [];
  for (const layer of knownLayers(engine)) {
    engine.closing.throwIfAborted();
    const message = await faultOf(engine, layer, options.pace);
    if (message !== undefined && !isKnown(engine, layer)) continue; // collected meanwhile: its file went with its versions
    read.push(layer);
    if (message === undefined) continue;
    tell(engine, "layer.damaged", layer, message);
    const repair = options.repair ? await repairLayer(engine, layer) : { repaired: false };
    damaged.push({ what: layer.verity.root, message, slots: layer.slots, ...repair });
  }
  const bytes = read.reduce((sum, { verity }) => sum + verity.size, 0);
  return { schema: 1, at, layers: read.length, bytes, damaged };
}

function isKnown(engine: Engine, { verity }: KnownLayer): boolean {
  return knownLayers(engine).some((layer) => layer.verity.root === verity.root);
}

async function faultOf(engine: Engine, { verity }: KnownLayer, pace: Pace | undefined): Promise<string | undefined> {
  try {
    await engine.node.scrubLayer(verity, untilClosing(engine.closing, pace));
    return undefined;
  } catch (error) {
    if (engine.closing.aborted) throw error; // not read to its end: that is no fault of the layer's
    return toFailureDocument(error).message;
  }
}

async function repairLayer(engine: Engine, known: KnownLayer): Promise<Pick<Damage, "repaired" | "reason">> {
  const coming = { layer: known.layer, replace: true, signal: engine.closing };
  try {
    await fetchBlob(engine, coming);
    await layBlob(engine, coming);
    tell(engine, "layer.repaired", known, "fetched and laid down again");
    return { repaired: true };
  } catch (error) {
    return { repaired: false, reason: toFailureDocument(error).message };
  }
}

function tell(engine: Engine, kind: "layer.damaged" | "layer.repaired", layer: KnownLayer, message: string): void {
  const detail = { layer: layer.verity.root, slots: layer.slots.join(", "), message };
  engine.journal.events.append(kind, { detail });
  engine.log(kind === "layer.damaged" ? "error" : "info", kind, detail);
}
