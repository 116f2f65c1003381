import { expect, test } from "vitest";
import { checkLayers } from "../../../../hostd/care/fsck.ts";
import type { Engine } from "../../../../hostd/engine.ts";
import { LAYER_ANNOTATIONS, type LayerVerity } from "../../../../manifests/image.ts";

const KEPT = "a".repeat(64);
const OTHER = "b".repeat(64);

/** A version of one layer, of one block. */
function slotOf(version: string, root: string) {
  const annotations = {
    [LAYER_ANNOTATIONS.verityRoot]: root,
    [LAYER_ANNOTATIONS.erofsSize]: "4096",
    [LAYER_ANNOTATIONS.erofsFormat]: "1",
  };
  const layer = { mediaType: "", digest: `sha256:${root}`, size: 1, annotations };
  return { app: "shop", version, manifest: { layers: [layer] }, config: { rootfs: { diff_ids: [layer.digest] } } };
}

/** Two versions whose layers cannot be read; `onRead` is called at each read. */
function engineOf(onRead: (slots: { version: string }[]) => void) {
  const slots = [slotOf("2.0.0", KEPT), slotOf("1.0.0", OTHER)];
  const told: string[] = [];
  const engine = {
    clock: { date: () => new Date(0) },
    closing: new AbortController().signal,
    journal: {
      apps: { list: () => [{ app: "shop" }] },
      slots: { list: () => slots },
      events: { append: (kind: string) => told.push(kind) },
    },
    node: {
      async scrubLayer({ root }: LayerVerity) {
        onRead(slots);
        if (root === OTHER) throw new Error("no file");
      },
    },
    log: () => {},
  };
  return { engine: engine as unknown as Engine, told };
}

test("a layer that the journal knows and that is not there is damage", async () => {
  const { engine, told } = engineOf(() => {});
  const found = await checkLayers(engine, { repair: false });
  const damage = { what: OTHER, message: "no file", repaired: false, slots: ["shop 1.0.0"] };
  expect(found).toMatchObject({ layers: 2, bytes: 8192, damaged: [damage] });
  expect(told).toEqual(["layer.damaged"]);
});

test("a layer whose last version was collected while layers were read is no damage, and does not count", async () => {
  const { engine, told } = engineOf((slots) => slots.splice(1));
  expect(await checkLayers(engine, { repair: false })).toMatchObject({ layers: 1, bytes: 4096, damaged: [] });
  expect(told).toEqual([]);
});
