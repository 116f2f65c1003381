import { type Descriptor, type LayerVerity, verityOf } from "../../manifests/image.ts";
import type { Engine } from "../engine.ts";

/** A layer that the journal's slots need, and who needs it. */
export interface KnownLayer {
  verity: LayerVerity;
  layer: Descriptor;
  /** `app version` of each slot. */
  slots: string[];
}

/** Every layer of every slot, the rollback targets' among them, each once. */
export function knownLayers(engine: Engine): KnownLayer[] {
  const { apps, slots } = engine.journal;
  const known = new Map<string, KnownLayer>();
  for (const slot of apps.list().flatMap(({ app }) => slots.list(app))) {
    for (const layer of slot.manifest.layers) {
      const verity = verityOf(layer);
      const name = `${slot.app} ${slot.version}`;
      const found = known.get(verity.root);
      if (found === undefined) known.set(verity.root, { verity, layer, slots: [name] });
      else found.slots.push(name);
    }
  }
  return [...known.values()];
}
