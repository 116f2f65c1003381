import type { Digest } from "../../manifests/digest.ts";
import { type Descriptor, type LayerVerity, verityOf } from "../../manifests/image.ts";
import type { Engine } from "../engine.ts";

/** A layer that the journal's slots need, and who needs it. */
export interface KnownLayer {
  verity: LayerVerity;
  layer: Descriptor;
  diffId: Digest;
  /** `app version` of each slot. */
  slots: string[];
}

/** Every layer of every slot, the rollback targets' among them, each once. */
export function knownLayers(engine: Engine): KnownLayer[] {
  const { apps, slots } = engine.journal;
  const known = new Map<string, KnownLayer>();
  for (const slot of apps.list().flatMap(({ app }) => slots.list(app))) {
    for (const [index, layer] of slot.manifest.layers.entries()) {
      const verity = verityOf(layer);
      const diffId = slot.config.rootfs.diff_ids[index];
      const name = `${slot.app} ${slot.version}`;
      const found = known.get(verity.root);
      if (found !== undefined) found.slots.push(name);
      else if (diffId !== undefined) known.set(verity.root, { verity, layer, diffId, slots: [name] });
    }
  }
  return [...known.values()];
}
